import { type PairedRisk, riskOf, riskStandardError } from '../../core/risk-test.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import type { Evaluator, Comparison as Measured } from '../../runtime/evaluation.ts';
import { finiteOrNull, type Metrics } from '../../runtime/model-metrics.ts';
import type { ComparedEvaluation } from './comparison.ts';

/** Of a lead, in standard errors: 95 % of a normal distribution where the better of two is asked about (Bonferroni). */
const BEYOND = 2.24;

/** A model on the samples, and how sparse it is. */
export interface MeasuredMask {
  readonly measured: Measured;
  readonly sparsity: number;
}

/** The models that are held against the original on the same samples. */
export interface MeasuredModels {
  readonly pruned: MeasuredMask;
  /** Null where the pruned model's values are those of the original, or there is no mask. */
  readonly prunedMask: MeasuredMask | null;
  readonly global: MeasuredMask;
  readonly layer: MeasuredMask;
}

/** Measures a model on the evaluator's samples. */
export async function measureMask(
  evaluator: Evaluator,
  model: StoredModel,
  sparsity: number,
): Promise<MeasuredMask> {
  return { measured: await evaluator.compare(model), sparsity };
}

/** Loss, accuracy and drift of all, and whether one of EMP's masks is better. */
export function evaluationOf(evaluator: Evaluator, models: MeasuredModels): ComparedEvaluation {
  const { pruned, prunedMask, global, layer } = models;
  return {
    loss_kind: evaluator.lossKind,
    output: evaluator.output,
    n_samples: evaluator.nSamples,
    n_positions: evaluator.nPositions,
    original: { ...evaluator.dense },
    pruned: figuresOf(pruned),
    pruned_mask: prunedMask && figuresOf(prunedMask),
    global: figuresOf(global),
    layer: figuresOf(layer),
    better: betterOf(evaluator, prunedMask ?? pruned, { global, layer }),
  };
}

function figuresOf({ measured: { measurement }, sparsity }: MeasuredMask): ComparedEvaluation['pruned'] {
  const { kl_standard_error: _, cosine_distance_standard_error: __, ...figures } = measurement;
  return { sparsity, ...figures };
}

function betterOf(
  { countedLabels }: Evaluator,
  theirs: MeasuredMask,
  ours: Readonly<Record<'global' | 'layer', MeasuredMask>>,
): ComparedEvaluation['better'] {
  const metric: keyof Metrics = countedLabels ? 'loss' : 'relative_l2';
  const leadOf = ({ measured }: MeasuredMask) => {
    const [their] = theirs.measured.risks[metric] ?? [];
    const [own] = measured.risks[metric] ?? [];
    if (!their || !own) return { difference: null, standard_error: null };
    const lead: PairedRisk = {
      cost: their.cost.map((cost, sample) => cost - own.cost[sample]),
      weight: countedLabels ?? own.weight,
    };
    return {
      difference: finiteOrNull(riskOf(lead)),
      standard_error: finiteOrNull(riskStandardError(lead)),
    };
  };
  const leads = { global: leadOf(ours.global), layer: leadOf(ours.layer) };
  const by = (leads.layer.difference ?? 0) > (leads.global.difference ?? 0) ? 'layer' : 'global';
  const { difference, standard_error } = leads[by];
  const found = difference !== null && difference > 0;
  return {
    metric: countedLabels ? 'loss' : 'squared_relative_l2',
    found,
    by: found ? by : null,
    beyond_error: found && standard_error !== null && difference > BEYOND * standard_error,
    ...leads,
  };
}
