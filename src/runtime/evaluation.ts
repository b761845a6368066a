import { EmpError } from '../core/errors.ts';
import { elementCount } from '../formats/model.ts';
import type { Fetched } from '../formats/numbers.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { mainPath, type StoredModel } from '../formats/stored-model.ts';
import { findLabelAxis, type Labels, type LossKind, shapeBySample } from '../graph/label-layout.ts';
import { chooseOutput } from '../graph/measured-output.ts';
import { axisToFront } from './along-axis.ts';
import { type Batch, nameSamples, readBatches, readFirstBatch, runBatch } from './batches.ts';
import { Drift } from './drift.ts';
import { LabelScores, type StandardErrors } from './label-scores.ts';
import { findLabelledOutput, type LabelledOutput, openLabelled } from './labelled-output.ts';
import { type Latency, measureLatency } from './latency.ts';
import { allFinite, type Floats, type Metrics, NOT_MEASURED, SMALLEST, toFloats } from './model-metrics.ts';
import type { ModelRun } from './model-run.ts';
import { planRuns } from './plan-runs.ts';
import { type ModelSession, openSession, type SessionOptions } from './session.ts';

/** With labels the loss, an accuracy unless the loss is of squared errors, and their standard errors; without labels the drift. */
export interface Measurement extends Metrics, StandardErrors {}

/** Of onnxruntime's optimizations, those that models are served with. */
type LatencyLevel = Exclude<SessionOptions['graphOptimizationLevel'], 'disabled' | undefined>;

/** The dense model, and what every model is measured on. */
interface EvaluatorContext extends ModelRun {
  readonly samples: SampleSet;
}

/** How every model is run that is measured. */
interface Setup extends EvaluatorContext {
  /** Name of the output measured. */
  readonly output: string;
  readonly batchSize: number;
  /** The axis of the output that counts samples; null where the output of one has none. */
  readonly outputAxis: number | null;
}

/** What pruned models are compared with: the scores of every sample, or the model itself. */
type Reference =
  | { readonly scores: LabelScores; readonly labelled: LabelledOutput }
  | { readonly session: ModelSession };

/**
 * The dense model on the evaluation data, and pruned ones compared with it. At most two models are in memory; three while latency is
 * measured at another level than `all` without labels, where the dense model stays open to be compared with.
 */
export class Evaluator implements AsyncDisposable {
  /** All null without labels. */
  readonly dense: Metrics;
  /** Null without labels. */
  readonly lossKind: LossKind | null;
  /** Name of the output measured. */
  readonly output: string;
  readonly nSamples: number;
  /** Labels that count: of samples, or of their positions, without those of label -100. */
  readonly nPositions: number;
  readonly #setup: Setup;
  readonly #reference: Reference;

  private constructor(setup: Setup, reference: Reference, nPositions: number) {
    this.dense = 'scores' in reference ? reference.scores.metrics : NOT_MEASURED;
    this.lossKind = 'labelled' in reference ? reference.labelled.layout.loss : null;
    this.output = setup.output;
    this.nSamples = setup.samples.nSamples;
    this.nPositions = nPositions;
    this.#setup = setup;
    this.#reference = reference;
  }

  /**
   * Opens the dense model and, where there are labels, measures it.
   * @throws EmpError unsupported_model, execution_provider_unavailable, samples_mismatch, invalid_labels, model_run_failed,
   * non_finite_activation for a dense model whose output is not finite; the signal's reason when aborted
   */
  static async open(context: EvaluatorContext): Promise<Evaluator> {
    const { model: dense, samples } = context;
    await using opened = new AsyncDisposableStack();
    const session = opened.use(await openSession(mainPath(dense), context.runtime));
    const output = chooseOutput(session.outputs);
    const run = await planRuns(session, samples, output, context.signal);
    const setup = { ...context, output, ...run };
    if (samples.labels === null) {
      const nPositions = await countPositions(session, setup);
      const evaluator = new Evaluator(setup, { session }, nPositions);
      opened.move(); // the evaluator keeps the session
      return evaluator;
    }
    const axis = findLabelAxis(samples.labels, samples.nSamples, run.outputAxis);
    const labels = { ...samples.labels, axis };
    const labelledSetup = { ...setup, samples: { ...samples, labels } };
    const shape = shapeBySample(labels.shape, axis);
    const labelled = await holdAgainstLabels(session, { dtype: labels.dtype, shape }, labelledSetup);
    const scores =
      labelled.appendix === null
        ? await scoreLabels(session, labelled, labelledSetup)
        : await scoreModel(dense, labelled, labelledSetup);
    if (scores.nPositions === 0) throw new EmpError('invalid_labels', 'every label is -100: none counts');
    if (scores.firstNonFinite !== null) throw notFinite(labelled.title, scores.firstNonFinite);
    if (scores.metrics.loss === null)
      throw new EmpError('non_finite_activation', 'the loss of the dense model is too large for a float64');
    return new Evaluator(labelledSetup, { scores, labelled }, scores.nPositions);
  }

  /** Measures a model that has the dense one's inputs and outputs; outputs that are not finite give null. */
  async measure(pruned: StoredModel): Promise<Measurement> {
    if ('scores' in this.#reference) {
      const scores = await scoreModel(pruned, this.#reference.labelled, this.#setup);
      return { ...scores.metrics, ...scores.standardErrors(this.#reference.scores) };
    }
    await using session = await openSession(mainPath(pruned), this.#setup.runtime);
    const drift = await measureDrift(this.#reference.session, session, this.#setup);
    return { ...drift.metrics, loss_increase_standard_error: null, accuracy_drop_standard_error: null };
  }

  /** Of the first batch, both models at the same level of onnxruntime's optimizations. */
  async latency(model: StoredModel, graphOptimizationLevel: LatencyLevel = 'all'): Promise<Latency> {
    const { samples, runtime, output, batchSize, signal } = this.#setup;
    await using opened = new AsyncDisposableStack();
    const open = async (stored: StoredModel) =>
      opened.use(await openSession(mainPath(stored), runtime, { graphOptimizationLevel }));
    const dense =
      'session' in this.#reference && graphOptimizationLevel === 'all'
        ? this.#reference.session
        : await open(this.#setup.model);
    const pruned = await open(model);
    const batch = await readFirstBatch(samples, batchSize, signal);
    return await measureLatency(dense, pruned, batch, output, signal); // awaited before the sessions go
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if ('session' in this.#reference) await this.#reference.session[Symbol.asyncDispose]();
  }
}

/** How the labels go with the output, by the shape that it has of the first batch. */
async function holdAgainstLabels(
  session: ModelSession,
  labels: Labels,
  setup: Setup,
): Promise<LabelledOutput> {
  const { samples, output, outputAxis, model } = setup;
  const batch = await readFirstBatch(samples, setup.batchSize, setup.signal);
  const { shape } = await runMeasured(session, batch, output);
  if (outputAxis === null ? batch.count !== 1 : shape[outputAxis] !== batch.count) {
    throw new EmpError(
      'samples_mismatch',
      `output '${output}' of ${batch.count} samples has shape [${shape}]: an axis must count the samples`,
    );
  }
  return findLabelledOutput(model, output, shape, outputAxis, labels);
}

async function scoreModel(model: StoredModel, labelled: LabelledOutput, setup: Setup): Promise<LabelScores> {
  await using session = await openLabelled(model, labelled, setup);
  return await scoreLabels(session, labelled, setup); // awaited before the session goes
}

async function scoreLabels(
  session: ModelSession,
  { layout, fetched: name, isProbabilities, title, shape }: LabelledOutput,
  { samples, batchSize, outputAxis, signal, onSamples }: Setup,
): Promise<LabelScores> {
  const scores = new LabelScores(samples.nSamples, layout);
  for await (const batch of readBatches(samples, batchSize, signal)) {
    const fetched = await runMeasured(session, batch, name);
    const labels = batch.labels ?? new Float64Array();
    if (fetched.data.length !== labels.length * layout.classes) {
      throw new EmpError(
        'samples_mismatch',
        `${title} has shape [${fetched.shape}] for ${nameSamples(batch)}, other than for the first samples`,
      );
    }
    // What is fetched may be the output in another shape.
    const ordered = outputAxis
      ? axisToFront({ ...fetched, shape: shape.with(outputAxis, batch.count) }, outputAxis)
      : fetched;
    scores.add({
      numbers: toFloats(ordered),
      labels,
      start: batch.start,
      smallestProbability: isProbabilities ? SMALLEST[fetched.dtype] : null,
    });
    onSamples(batch.count);
  }
  return scores;
}

async function measureDrift(dense: ModelSession, pruned: ModelSession, setup: Setup): Promise<Drift> {
  const drift = new Drift();
  for await (const batch of readBatches(setup.samples, setup.batchSize, setup.signal)) {
    const expected = await runMeasured(dense, batch, setup.output);
    const numbers = toFloats(expected);
    refuseNonFinite(expected, numbers, batch, setup);
    const changed = await runMeasured(pruned, batch, setup.output);
    if (`${changed.shape}` !== `${expected.shape}`) {
      throw new EmpError(
        'unsupported_model',
        `output '${setup.output}' has shape [${changed.shape}] after pruning and [${expected.shape}] before: without labels they cannot be compared`,
      );
    }
    drift.add(numbers, toFloats(changed), classesOf(expected));
    setup.onSamples(batch.count);
  }
  return drift;
}

/** Of all samples, from the shape of the first batch's output. */
async function countPositions(session: ModelSession, setup: Setup): Promise<number> {
  const batch = await readFirstBatch(setup.samples, setup.batchSize, setup.signal);
  const fetched = await runMeasured(session, batch, setup.output);
  const perSample = fetched.data.length / Math.max(1, classesOf(fetched)) / batch.count;
  return Math.round(perSample * setup.samples.nSamples);
}

async function runMeasured(session: ModelSession, batch: Batch, output: string): Promise<Fetched> {
  const fetched = (await runBatch(session, batch, [output])).get(output);
  if (fetched === undefined) throw new TypeError(`no output ${output}`);
  return fetched;
}

/** Entries of the last axis; a value of rank 0 or 1 has one per sample. */
function classesOf({ shape }: Fetched): number {
  return shape.length > 1 ? shape[shape.length - 1] : 1;
}

function refuseNonFinite(
  { shape }: Fetched,
  numbers: Floats,
  { start, count }: Batch,
  { output, outputAxis }: Setup,
): void {
  if (allFinite(numbers, 0, numbers.length)) return;
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  const perSample = outputAxis ? elementCount(shape.slice(outputAxis + 1)) : numbers.length / count;
  throw notFinite(`output '${output}'`, `sample ${start + (Math.floor(index / perSample) % count)}`);
}

function notFinite(title: string, place: string): EmpError {
  return new EmpError('non_finite_activation', `${title} of the dense model is NaN or infinite at ${place}`);
}
