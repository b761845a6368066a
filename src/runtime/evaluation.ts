import { EmpError } from '../core/errors.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { type Batch, chooseBatchSize, readBatches, readFirstBatch, runBatch } from './batches.ts';
import { Drift } from './drift.ts';
import { LabelScores, type StandardErrors } from './label-scores.ts';
import { measureLatency } from './latency.ts';
import { findMeasuredOutput, type MeasuredOutput, parseLabelLayout } from './measured-output.ts';
import { allFinite, type Floats, type Metrics, NOT_MEASURED } from './metrics.ts';
import { type Fetched, type ModelSession, openSession, type RuntimeSettings } from './session.ts';

export type { Metrics } from './metrics.ts';

/** With labels the loss, the accuracy and their standard errors, without them the drift. */
export interface Measurement extends Metrics, StandardErrors {}

/** The least number above 0. */
const SMALLEST: Readonly<Record<string, number>> = {
  float16: 2 ** -24,
  float32: 2 ** -149,
  float64: 2 ** -1074,
};

interface EvaluatorContext {
  readonly signal: AbortSignal;
  /** Called after every batch with the number of its samples. */
  onSamples(count: number): void;
}

/** How every model is run that is measured. */
interface Setup extends EvaluatorContext {
  readonly densePath: string;
  readonly samples: SampleSet;
  readonly settings: RuntimeSettings;
  readonly output: MeasuredOutput;
  readonly batchSize: number;
}

/** What pruned models are compared with: the scores of every sample, or the model itself. */
type Reference = { readonly scores: LabelScores } | { readonly session: ModelSession };

/** The dense model on the evaluation data, and pruned ones compared with it. At most two models are in memory. */
export class Evaluator implements AsyncDisposable {
  /** All null without labels. */
  readonly dense: Metrics;
  /** Name of the output measured. */
  readonly output: string;
  readonly nSamples: number;
  /** Class decisions that count: samples, or positions of sequences, without those of label -100. */
  readonly nPositions: number;
  readonly #setup: Setup;
  readonly #reference: Reference;

  private constructor(setup: Setup, reference: Reference, nPositions: number) {
    this.dense = 'scores' in reference ? reference.scores.metrics : NOT_MEASURED;
    this.output = setup.output.name;
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
  static async open(
    densePath: string,
    samples: SampleSet,
    settings: RuntimeSettings,
    context: EvaluatorContext,
  ): Promise<Evaluator> {
    await using opened = new AsyncDisposableStack();
    const session = opened.use(await openSession(densePath, settings));
    const output = await findMeasuredOutput(session.outputs, densePath);
    const batchSize = await chooseBatchSize(session, samples, [output.name], context.signal);
    const { signal, onSamples } = context;
    const setup = { densePath, samples, settings, signal, onSamples, output, batchSize };
    if (samples.labels === null) {
      const nPositions = await countPositions(session, setup);
      const evaluator = new Evaluator(setup, { session }, nPositions);
      opened.move(); // the evaluator keeps the session
      return evaluator;
    }
    const scores = await scoreLabels(session, setup);
    if (scores.nPositions === 0) throw new EmpError('invalid_labels', 'every label is -100: none counts');
    if (scores.firstNonFinite !== null) throw notFinite(output.name, scores.firstNonFinite);
    return new Evaluator(setup, { scores }, scores.nPositions);
  }

  /** Measures the model at `prunedPath`, which has the dense one's inputs and outputs; outputs that are not finite give null. */
  async measure(prunedPath: string): Promise<Measurement> {
    await using session = await openSession(prunedPath, this.#setup.settings);
    if ('scores' in this.#reference) {
      const scores = await scoreLabels(session, this.#setup);
      return { ...scores.metrics, ...scores.standardErrors(this.#reference.scores) };
    }
    const drift = await measureDrift(this.#reference.session, session, this.#setup);
    return { ...drift.metrics, loss_increase_standard_error: null, accuracy_drop_standard_error: null };
  }

  /** Median milliseconds of one batch, dense and pruned in turn on the same batch. */
  async latency(prunedPath: string): Promise<{ dense_ms: number; pruned_ms: number; batch_size: number }> {
    const { densePath, samples, settings, output, batchSize, signal } = this.#setup;
    await using opened = new AsyncDisposableStack();
    const dense =
      'session' in this.#reference
        ? this.#reference.session
        : opened.use(await openSession(densePath, settings));
    const pruned = opened.use(await openSession(prunedPath, settings));
    const batch = await readFirstBatch(samples, batchSize, signal);
    return await measureLatency(dense, pruned, batch, output.name, signal); // awaited before the sessions go
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if ('session' in this.#reference) await this.#reference.session[Symbol.asyncDispose]();
  }
}

async function scoreLabels(session: ModelSession, setup: Setup): Promise<LabelScores> {
  const { samples, output } = setup;
  const shape = samples.labels?.shape ?? [];
  if (shape[0] !== samples.nSamples) {
    throw new EmpError('samples_mismatch', `there are ${samples.nSamples} samples and labels [${shape}]`);
  }
  const scores = new LabelScores(samples.nSamples);
  for await (const batch of readBatches(samples, setup.batchSize, setup.signal)) {
    const fetched = await runMeasured(session, batch, setup);
    scores.add({
      ...parseLabelLayout(output.name, fetched.shape, batch.count, shape),
      numbers: toFloats(fetched),
      labels: batch.labels ?? new Float64Array(),
      start: batch.start,
      smallestProbability: output.probabilities ? SMALLEST[fetched.dtype] : null,
    });
    setup.onSamples(batch.count);
  }
  return scores;
}

async function measureDrift(dense: ModelSession, pruned: ModelSession, setup: Setup): Promise<Drift> {
  const drift = new Drift();
  for await (const batch of readBatches(setup.samples, setup.batchSize, setup.signal)) {
    const expected = await runMeasured(dense, batch, setup);
    const numbers = toFloats(expected);
    refuseNonFinite(numbers, batch, setup.output.name);
    const changed = await runMeasured(pruned, batch, setup);
    if (`${changed.shape}` !== `${expected.shape}`) {
      throw new EmpError(
        'unsupported_model',
        `output '${setup.output.name}' has shape [${changed.shape}] after pruning and [${expected.shape}] before: without labels they cannot be compared`,
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
  const fetched = await runMeasured(session, batch, setup);
  const perSample = fetched.data.length / Math.max(1, classesOf(fetched)) / batch.count;
  return Math.round(perSample * setup.samples.nSamples);
}

async function runMeasured(session: ModelSession, batch: Batch, { output }: Setup): Promise<Fetched> {
  const fetched = (await runBatch(session, batch, [output.name])).get(output.name);
  if (fetched === undefined) throw new TypeError(`no output ${output.name}`);
  return fetched;
}

/** Entries of the last axis; a value of rank 0 or 1 has one per sample. */
function classesOf({ shape }: Fetched): number {
  return shape.length > 1 ? shape[shape.length - 1] : 1;
}

function toFloats({ data }: Fetched): Floats {
  return data instanceof Float32Array || data instanceof Float64Array
    ? data
    : Float32Array.from(data as Float16Array);
}

function refuseNonFinite(numbers: Floats, { start, count }: Batch, output: string): void {
  if (allFinite(numbers, 0, numbers.length)) return;
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  throw notFinite(output, `sample ${start + Math.floor((index / numbers.length) * count)}`);
}

function notFinite(output: string, place: string): EmpError {
  return new EmpError(
    'non_finite_activation',
    `output '${output}' of the dense model is NaN or infinite at ${place}`,
  );
}
