import { comparesOutputs } from '../recipe/needs.ts';
import { targetOf } from '../recipe/recipe.ts';
import { METRIC_NAMES, METRICS } from '../recipe/terms.ts';
import type { Evaluation } from '../report/report.ts';
import { Evaluator, type Measurement } from '../runtime/evaluation.ts';
import type { Amount } from './amount.ts';
import { type BetaPoint, type Candidates, createPoint, type Measured } from './candidates.ts';
import { namingData, targetWithoutAccuracy, targetWithoutClasses } from './data-errors.ts';
import { sampleWork } from './planned-work.ts';
import type { PruneJob } from './prune-job.ts';
import type { Decided, PrunedModel } from './scored.ts';
import type { Search } from './search.ts';

interface EvaluateInput {
  readonly job: PruneJob;
  readonly candidates: Candidates;
  /** By which the job's own model was pruned. */
  readonly amount: Amount;
  readonly decided: Decided;
  readonly pruned: PrunedModel;
  /** Of the job's own model; null of a dry run, which has written none. */
  readonly measured: Measurement | null;
  readonly search: Search | null;
}

/**
 * The dense model measured on the evaluation data; null where there is none.
 * @throws EmpError `invalid_request` for a target of an accuracy that they do not give, or a model that cannot be run
 */
export async function openEvaluator({
  input,
  scratchDirectory,
  progress,
  clock,
  signal,
}: PruneJob): Promise<Evaluator | null> {
  const { model, recipe, evaluation, runtime } = input;
  if (evaluation === null) return null;
  clock.enter('evaluate');
  const onSamples = (count: number) => progress.advance(count * sampleWork(evaluation));
  const target = targetOf(recipe);
  const wantsDrift = comparesOutputs(recipe);
  const context = { model, samples: evaluation, scratchDirectory, runtime, signal, onSamples, wantsDrift };
  const evaluator = await namingData('evaluation', () => Evaluator.open(context));
  if (target?.name === 'max_accuracy_drop' && evaluator.lossKind === 'mean_squared_error')
    throw targetWithoutAccuracy();
  if (target?.name === 'max_disagreement' && evaluator.classes === 1)
    throw targetWithoutClasses(evaluator.output);
  return evaluator;
}

/** All that the report says of the evaluation data: the pruned model beside the dense one, the uniform baseline, the sweep. */
export async function evaluate(input: EvaluateInput): Promise<Evaluation> {
  const { job, candidates, amount, decided, pruned, measured: own, search } = input;
  const { recipe } = job.input;
  const { evaluator } = candidates;
  const { sparsity } = pruned;
  const measured: Measured = own ? { ...own, sparsity } : await candidates.measure(amount, recipe.scope);
  if (own) candidates.rememberChoice(decided, measured);
  if (amount.beta !== null) candidates.remember(amount.beta, measured);
  const sweep: BetaPoint[] = [];
  for (const beta of recipe.sweep_betas ?? []) sweep.push(await candidates.at(beta));
  const uniform = await measureUniform(input);
  const latency = recipe.dry_run ? null : await evaluator.latency(pruned.model);
  const extended =
    recipe.dry_run || recipe.granularity === 'weight'
      ? null
      : await evaluator.latency(pruned.model, 'extended');
  const { sparsity: _, ...figures } = measured;
  const { dense } = evaluator;
  return {
    loss_kind: evaluator.lossKind,
    metric_names: metricNames(evaluator),
    output: evaluator.output,
    n_samples: evaluator.nSamples,
    n_positions: evaluator.nPositions,
    batch_size: latency?.batch_size ?? null,
    dense: {
      ...dense,
      latency_ms: latency?.dense_ms ?? null,
      latency_extended_ms: extended?.dense_ms ?? null,
    },
    pruned: {
      ...figures,
      latency_ms: latency?.pruned_ms ?? null,
      latency_extended_ms: extended?.pruned_ms ?? null,
    },
    beta_1: candidates.known(1),
    uniform,
    sweep,
    search,
  };
}

/**
 * The same criterion and total sparsity spread evenly, over rows with scope `row` and over tensors otherwise: what EMP's own spread has to
 * be better than. Null for a budget that is spread that way itself.
 */
async function measureUniform({
  job,
  candidates,
  pruned,
  amount,
}: EvaluateInput): Promise<Evaluation['uniform']> {
  const { budget, scope } = job.input.recipe;
  if (budget && scope !== 'global') return null;
  const evenly = scope === 'row' ? 'row' : 'layer';
  return createPoint(await candidates.evenly(pruned.sparsity, amount, evenly));
}

function metricNames({ dense, measuresDrift }: Evaluator): string[] {
  return METRIC_NAMES.filter((name) => (METRICS[name].isLabelled ? dense[name] !== null : measuresDrift));
}
