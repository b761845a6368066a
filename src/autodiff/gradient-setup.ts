import { EmpError } from '../core/errors.ts';
import type { Fetched } from '../formats/numbers.ts';
import { toFloat64 } from '../formats/numbers.ts';
import type { ArrayFile, SampleSet } from '../formats/sample-set.ts';
import { modelInputs } from '../graph/interface.ts';
import { layOut } from '../graph/label-layout.ts';
import { chooseOutput } from '../graph/measured-output.ts';
import type { LossHead } from '../graph/passes/append-loss.ts';
import { type Batch, fixedBatchSize, readFirstBatch, repeatFirst } from '../runtime/batches.ts';
import { checkLabels } from '../runtime/label-checks.ts';
import type { ModelRun } from '../runtime/model-run.ts';
import type { Feeds } from '../runtime/session.ts';
import { type PreparedModel, prepareModel } from './prepare.ts';
import { type ProbedValues, probeValues } from './probe.ts';

/** A model, and labelled samples on which the loss is taken. */
export interface GradientContext extends ModelRun {
  readonly samples: SampleSet & { readonly labels: ArrayFile };
  /** Most samples of a batch; where not given 64, or as many as stay within 64 MB of computed values. Sums depend on it only by rounding. */
  readonly maxBatchSamples?: number;
}

/** A model that is ready to be differentiated. */
export interface GradientSetup {
  readonly context: GradientContext;
  readonly prepared: PreparedModel;
  readonly facts: ProbedValues;
  /** Of which the loss is taken. */
  readonly output: string;
  /** Samples that the model takes at a time, null where any number will do. */
  readonly fixedBatch: number | null;
}

/** A plan of memory made for one batch takes a third more than none. */
export const GRADIENT_SESSION = { enableMemPattern: false } as const;

/** More keeps the cores no busier. */
const MAX_BATCH_SAMPLES = 64;
/** What a forward pass computes and a backward pass may need; both together take about three times that. */
const MAX_BATCH_BYTES = 64 * 2 ** 20;

/**
 * Prepares the model in `directory` and probes it on the first sample.
 * @throws EmpError what `prepareModel`, `probeValues` and `chooseOutput` throw; samples_mismatch
 */
export async function setUpGradients(context: GradientContext, directory: string): Promise<GradientSetup> {
  const { samples, signal, runtime } = context;
  const prepared = await prepareModel({ ...context, directory });
  const fixedBatch = fixedBatchSize(modelInputs(prepared.model), samples);
  const sample = await readFirstBatch(samples, 1, signal);
  const runs = probeSizes(fixedBatch).map((count) => inputFeeds(repeatFirst(sample, count), prepared));
  const facts = await probeValues(prepared, prepared.proto, runs, runtime);
  const outputs = prepared.model.graph.outputs.map(({ name }) => ({
    name,
    dtype: facts.dtypeOf(name) ?? 'other',
  }));
  const output = chooseOutput(outputs);
  const [axis0 = 1] = facts.shapeOf(output) ?? [];
  if (typeof axis0 === 'number' && axis0 !== fixedBatch)
    throw new EmpError(
      'samples_mismatch',
      `output '${output}' has ${axis0} on axis 0, however many samples the model is given: axis 0 must count them`,
    );
  return { context, prepared, facts, output, fixedBatch };
}

/** Numbers of samples on which a model is probed: what differs follows the batch. */
export function probeSizes(fixedBatch: number | null): readonly number[] {
  return fixedBatch === null ? [2, 3] : [fixedBatch];
}

/**
 * Samples of one batch: the model's fixed number, else `maxBatchSamples`, else as many as stay within 64 and 64 MB of computed values. That depends on the model and
 * the data alone, so that sums come out the same everywhere.
 * @param elements of all values of the model that runs, by run on `probeSizes`
 */
export function gradientBatchSize(
  { context, fixedBatch }: GradientSetup,
  [two, three]: readonly number[],
): number {
  if (fixedBatch !== null) return fixedBatch;
  const bytes = Float32Array.BYTES_PER_ELEMENT * Math.max(1, three - two);
  const affordable = Math.max(1, Math.min(MAX_BATCH_SAMPLES, Math.floor(MAX_BATCH_BYTES / bytes)));
  return Math.min(context.maxBatchSamples ?? affordable, context.samples.nSamples);
}

/** The stored shape of a weight that `createGradientGraph` took. */
export function weightShape(weight: string, { prepared, facts }: GradientSetup): number[] {
  const shape = facts.shapeOf(prepared.weights.get(weight) ?? '') ?? [];
  return shape.map(Number);
}

/** What a model with a loss is fed. Throws `invalid_labels` as `checkLabels`. */
export function lossFeeds(
  batch: Batch,
  { context, prepared, facts, output }: GradientSetup,
  loss: LossHead,
): Feeds {
  const { labels } = batch;
  if (labels === null) throw new TypeError('samples without labels');
  const shape = [batch.count, ...context.samples.labels.shape.slice(1)];
  checkLabels(labels, batch.start, layOut(loss.kind, facts.shapeOf(output) ?? [], context.samples.labels));
  const fed: Fetched =
    loss.labelsDtype === 'int64'
      ? { dtype: 'int64', shape, data: BigInt64Array.from(labels, BigInt) }
      : { dtype: 'float32', shape, data: Float32Array.from(labels) };
  return new Map([...inputFeeds(batch, prepared), [loss.labelsInput, fed]]);
}

/** The inputs as a prepared model takes them. */
function inputFeeds({ feeds }: Batch, { widenedInputs }: PreparedModel): Feeds {
  const widened = new Set(widenedInputs);
  return new Map(
    [...feeds].map(([name, feed]): [string, Fetched] => {
      if (!widened.has(name)) return [name, feed];
      return [name, { ...feed, dtype: 'float32', data: Float32Array.from(toFloat64(feed.data)) }];
    }),
  );
}

/** The error for samples of which no label counts. */
export function noneCounts(): EmpError {
  return new EmpError('invalid_labels', 'every label is -100: none counts');
}
