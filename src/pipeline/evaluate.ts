import { dirname, join, relative } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { Evaluation } from '../report/report.ts';
import { Evaluator, type Measurement } from '../runtime/evaluation.ts';
import type { Metrics } from '../runtime/model-metrics.ts';
import type { RuntimeSettings } from '../runtime/session.ts';
import { SCRATCH_FOLDER } from './artifact-names.ts';
import { type BetaPoint, type Candidates, createPoint, type Measured } from './candidates.ts';
import { namingData } from './data-errors.ts';
import type { DenseModel } from './dense-model.ts';
import type { CountRule } from './passes/count-rule.ts';
import type { Progress } from './progress.ts';
import type { Recipe } from './recipe.ts';
import type { Search } from './search.ts';
import { targetWithoutAccuracy } from './target-check.ts';
import { sampleWork } from './work.ts';

interface EvaluateInput {
  readonly recipe: Recipe;
  readonly evaluator: Evaluator;
  readonly candidates: Candidates;
  /** By which the job's own model was pruned, what became of it, where it lies, and what was measured of it; a dry run has written none. */
  readonly rule: CountRule;
  readonly sparsity: number;
  readonly path: string;
  readonly own: Measurement | null;
  readonly search: Search | null;
}

interface MeasuredInput {
  readonly model: DenseModel;
  readonly recipe: Recipe;
  readonly evaluation: SampleSet | null;
  readonly runtime: RuntimeSettings;
  readonly outputDirectory: string;
}

/**
 * The dense model measured on the evaluation data; null where there is none.
 * @throws EmpError `invalid_request` for a recipe that needs such data, or an accuracy that they do not give, or a model that cannot be run
 */
export async function openEvaluator(
  { model, recipe, evaluation, runtime, outputDirectory }: MeasuredInput,
  progress: Progress,
  signal: AbortSignal,
): Promise<Evaluator | null> {
  if (evaluation === null) {
    const needs = recipe.target ? 'target' : recipe.sweep_betas ? 'sweep_betas' : null;
    if (needs === null) return null;
    throw new EmpError('invalid_request', `${needs} needs evaluation data`, [
      { path: `/recipe/${needs}`, message: 'needs evaluation data to measure pruned models on' },
    ]);
  }
  if (model.inventory.format !== 'onnx') {
    throw new EmpError('invalid_request', 'a safetensors file holds no graph to run: send the ONNX export', [
      { path: '/model_id', message: 'must be an ONNX model where there is evaluation data' },
    ]);
  }
  const onSamples = (count: number) => progress.advance(count * sampleWork(evaluation));
  const [file, ...others] = model.inventory.files;
  const context = {
    scratchDirectory: join(outputDirectory, SCRATCH_FOLDER),
    externalFiles: others.map((other) => relative(dirname(file), other)),
    signal,
    onSamples,
  };
  const path = join(model.directory, file);
  const evaluator = await namingData('evaluation', () => Evaluator.open(path, evaluation, runtime, context));
  if (recipe.target?.max_accuracy_drop !== undefined && evaluator.lossKind === 'mean_squared_error')
    throw targetWithoutAccuracy('/evaluation_dataset_id');
  return evaluator;
}

/** All that the report says of the evaluation data: the pruned model beside the dense one, the uniform baseline, the sweep. */
export async function evaluate(input: EvaluateInput): Promise<Evaluation> {
  const { recipe, evaluator, candidates, rule, sparsity, path, own, search } = input;
  const measured: Measured = own ? { ...own, sparsity } : await candidates.measure(rule, recipe.scope);
  if (own) candidates.rememberChoice(rule, measured);
  if (rule.beta !== null) candidates.remember(rule.beta, measured);
  const sweep: BetaPoint[] = [];
  for (const beta of recipe.sweep_betas ?? []) sweep.push(await candidates.at(beta));
  const uniform = await measureUniform(input);
  const latency = recipe.dry_run ? null : await evaluator.latency(path);
  const extended =
    recipe.dry_run || recipe.granularity === 'weight' ? null : await evaluator.latency(path, 'extended');
  const { sparsity: _, ...pruned } = measured;
  const { dense } = evaluator;
  return {
    loss_kind: evaluator.lossKind,
    metric_names: metricNames(dense),
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
      ...pruned,
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
  recipe,
  candidates,
  sparsity,
  rule,
}: EvaluateInput): Promise<Evaluation['uniform']> {
  if (recipe.budget && recipe.scope !== 'global') return null;
  const scope = recipe.scope === 'row' ? 'row' : 'layer';
  const evenly = { ...rule, beta: null, sparsity: candidates.budgetFor(sparsity) };
  return createPoint(await candidates.measure(evenly, scope));
}

function metricNames(dense: Metrics): string[] {
  if (dense.loss === null) return ['relative_l2', 'cosine', 'top1_agreement'];
  return (['loss', 'accuracy', 'perplexity'] as const).filter((name) => dense[name] !== null);
}
