import { EmpError } from '../core/errors.ts';
import type { Fetched } from '../formats/numbers.ts';
import { toFloat64 } from '../formats/numbers.ts';
import type { ArrayFile, SampleSet } from '../formats/sample-set.ts';
import { modelInputs } from '../graph/interface.ts';
import { findLabelAxis, findSampleAxis, type Labels, layOut, shapeBySample } from '../graph/label-layout.ts';
import { chooseOutput } from '../graph/measured-output.ts';
import type { LossHead } from '../graph/passes/append-loss.ts';
import { type Batch, fixedBatchSize, readFirstBatch, repeatSample, tryOnTwo } from '../runtime/batches.ts';
import { checkLabels } from '../runtime/label-checks.ts';
import type { ModelRun } from '../runtime/model-run.ts';
import type { Feeds } from '../runtime/session.ts';
import { createGradientGraph, type GradientGraph } from './gradient-graph.ts';
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
  /** The axis of the output that counts samples, as `appendLoss` takes it. */
  readonly outputAxis: number | null;
  /** Axis 0 the samples. */
  readonly labels: Labels;
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
  const inputs = modelInputs(prepared.model);
  const fixed = fixedBatchSize(inputs, samples);
  const sample = await readFirstBatch(samples, 1, signal);
  const probe = async (fixedBatch: number | null) => {
    const counts = probeSizes(fixedBatch);
    const runs = counts.map((count) => inputFeeds(repeatSample(sample, count, samples), prepared));
    const facts = await probeValues(prepared, prepared.proto, runs, runtime);
    const outputs = prepared.model.graph.outputs.map(({ name }) => ({
      name,
      dtype: facts.dtypeOf(name) ?? 'other',
    }));
    const output = chooseOutput(outputs);
    return { fixedBatch, facts, output, outputAxis: findSampleAxis(facts.runsOf(output) ?? [], counts) };
  };
  let probed = fixed === null ? await tryOnTwo(() => probe(null)) : await probe(fixed);
  if (probed === null || (fixed === null && probed.outputAxis === null)) probed = await probe(1);
  const { fixedBatch, facts, output, outputAxis } = probed;
  if (outputAxis === null && fixedBatch !== 1)
    throw new EmpError(
      'samples_mismatch',
      `output '${output}' has shape [${facts.runsOf(output)?.[0] ?? ''}] for ${fixedBatch} samples: an axis must count them, so export the model with a dynamic one`,
    );
  const axis = findLabelAxis(samples.labels, samples.nSamples, outputAxis);
  const labels = { dtype: samples.labels.dtype, shape: shapeBySample(samples.labels.shape, axis) };
  const placed = { ...samples, labels: { ...samples.labels, axis } };
  return {
    context: { ...context, samples: placed },
    prepared,
    facts,
    output,
    outputAxis,
    labels,
    fixedBatch,
  };
}

/** The gradients of `weights` as a graph. Throws as `createGradientGraph`. */
export function gradientGraphOf(
  weights: readonly string[],
  { prepared, facts, output, labels, outputAxis }: GradientSetup,
): GradientGraph {
  return createGradientGraph(prepared, facts, output, labels, weights, outputAxis);
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
  { labels: allLabels, prepared, facts, output, outputAxis }: GradientSetup,
  loss: LossHead,
): Feeds {
  const { labels } = batch;
  if (labels === null) throw new TypeError('samples without labels');
  const shape = [batch.count, ...allLabels.shape.slice(1)];
  const outputShape = shapeBySample(facts.shapeOf(output) ?? [], outputAxis);
  checkLabels(labels, batch, layOut(loss.kind, outputShape, allLabels));
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
  return new EmpError(
    'invalid_labels',
    'every label is -100, so none counts: give labels of which some are class ids',
  );
}
