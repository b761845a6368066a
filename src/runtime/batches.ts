import { EmpError } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import { type Fetched, toFloat64 } from '../formats/numbers.ts';
import { type ArrayFile, placeOf, type SampledArray, type SampleSet } from '../formats/sample-set.ts';
import type { OnnxInput } from '../graph/interface.ts';
import { findSampleAxis } from '../graph/label-layout.ts';
import { axisToFront, repeatAlong } from './along-axis.ts';
import { type OpenArray, readSamples, readWhole, spansOf } from './sample-reads.ts';
import type { Feeds, ModelSession } from './session.ts';

/** Enough to keep the cores busy; more only costs memory. */
const MAX_BATCH_SAMPLES = 64;
const MAX_BATCH_INPUT_BYTES = 4 * 2 ** 20;
const MAX_BATCH_OUTPUT_BYTES = 16 * 2 ** 20;

/** The samples `[start, start + count)`. */
export interface Batch {
  readonly start: number;
  readonly count: number;
  readonly feeds: Feeds;
  /** Row-major `[count, ...]`, widened; -100 marks positions that do not count. */
  readonly labels: Float64Array | null;
  /** As that of the samples. */
  readonly order?: Uint32Array | undefined;
}

/**
 * Streams the samples in their order, `batchSize` at a time and the rest last; one batch is in memory. Stops between batches
 * with the signal's reason.
 */
export async function* readBatches(
  samples: SampleSet,
  batchSize: number,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  await using files = new AsyncDisposableStack();
  const open = async <A extends ArrayFile>(array: A) => ({
    array,
    source: files.use(await openFileSource(array.path)),
  });
  const inputs: OpenArray<SampledArray>[] = [];
  for (const array of samples.inputs) inputs.push(await open(array));
  const constants: Awaited<ReturnType<typeof readWhole>>[] = [];
  for (const array of samples.constants ?? []) constants.push(await readWhole(await open(array)));
  const labels = samples.labels && (await open(samples.labels));
  const { order } = samples;
  for (let start = 0; start < samples.nSamples; start += batchSize) {
    signal.throwIfAborted();
    const count = Math.min(batchSize, samples.nSamples - start);
    const spans = spansOf(samples, start, count);
    const feeds = new Map<string, Fetched>();
    for (const { array, source } of inputs) feeds.set(array.name, await readSamples(array, source, spans));
    for (const { name, fetched, repeatedAxis } of constants)
      feeds.set(name, repeatedAxis === null ? fetched : repeatAlong(fetched, repeatedAxis, count));
    const read = labels && (await readSamples(labels.array, labels.source, spans));
    const widened = read && toFloat64(axisToFront(read, labels.array.axis ?? 0).data);
    yield { start, count, feeds, labels: widened, order };
  }
}

/** The first batch alone. Throws `samples_mismatch` where there are no samples. */
export async function readFirstBatch(
  samples: SampleSet,
  batchSize: number,
  signal: AbortSignal,
): Promise<Batch> {
  for await (const batch of readBatches(samples, batchSize, signal)) return batch;
  throw new EmpError('samples_mismatch', 'there are no samples: give arrays that have one at least');
}

/** A batch of `count` copies of a batch of one sample. */
export function repeatSample({ start, feeds, labels }: Batch, count: number, samples: SampleSet): Batch {
  const axes = new Map([
    ...samples.inputs.map(({ name, axis = 0 }): [string, number | null] => [name, axis]),
    ...(samples.constants ?? []).map(({ name, repeatedAxis }): [string, number | null] => [
      name,
      repeatedAxis,
    ]),
  ]);
  const repeated = [...feeds].map(([name, fed]): [string, Fetched] => {
    const axis = axes.get(name) ?? null;
    return [name, axis === null ? fed : repeatAlong(fed, axis, count)];
  });
  return {
    start,
    count,
    feeds: new Map(repeated),
    labels:
      labels && Float64Array.from({ length: labels.length * count }, (_, i) => labels[i % labels.length]),
  };
}

/** What errors call the samples of a batch, counted from 0. */
export function nameSamples(batch: Pick<Batch, 'start' | 'count' | 'order'>): string {
  const { start, count } = batch;
  const first = placeOf(batch, start);
  return count === 1 ? `sample ${first}` : `samples ${first} to ${placeOf(batch, start + count - 1)}`;
}

/** Runs the model on a batch; errors name its samples, counted from 0. Throws `model_run_failed`. */
export async function runBatch(
  session: Pick<ModelSession, 'run'>,
  batch: Batch,
  fetches: readonly string[],
): Promise<ReadonlyMap<string, Fetched>> {
  try {
    return await session.run(batch.feeds, fetches);
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    throw new EmpError(error.code, `the model failed on ${nameSamples(batch)}: ${error.message}`);
  }
}

/** How many samples go at a time, and what the model gives of one and of two, where that was asked to find out. */
export interface BatchPlan {
  readonly size: number;
  readonly ofOne: ReadonlyMap<string, Fetched> | null;
  readonly ofTwo: ReadonlyMap<string, Fetched> | null;
}

/**
 * Samples of one batch: the model's fixed number where it has one, else as many as stay within 64, 4 MB of inputs and 16 MB of
 * outputs, by a run on the first sample; one at a time where the model fails on two of it, or no output follows their number: it may take the second for more of the first. It depends on the model and the data alone, so that sums come out the same everywhere.
 * @param outputBytes what the fetched outputs stand for: their own bytes, or those of what they are sums of
 * @param outputs the model's own, of which one must follow the samples; the fetched ones unless given
 * @throws EmpError samples_mismatch where the samples do not make up whole batches of the fixed number, model_run_failed
 */
export async function planBatches(
  session: Pick<ModelSession, 'inputs' | 'outputs' | 'run'>,
  samples: SampleSet,
  fetches: readonly string[],
  signal: AbortSignal,
  outputBytes: (outputs: ReadonlyMap<string, Fetched>) => number = byteLength,
  outputs: readonly string[] = fetches,
): Promise<BatchPlan> {
  const sample = await readFirstBatch(samples, 1, signal);
  const fixed = fixedBatchSize(session.inputs, samples);
  if (fixed !== null) return { size: fixed, ofOne: null, ofTwo: null };
  const tensors = new Set(session.outputs.filter(({ dtype }) => dtype !== 'other').map(({ name }) => name));
  const own = outputs.filter((name) => tensors.has(name));
  const wanted = [...new Set([...fetches, ...own])];
  const ofOne = await runBatch(session, sample, wanted);
  const size = Math.min(
    MAX_BATCH_SAMPLES,
    samples.nSamples,
    Math.floor(MAX_BATCH_INPUT_BYTES / byteLength(sample.feeds)),
    Math.floor(MAX_BATCH_OUTPUT_BYTES / outputBytes(ofOne)),
  );
  if (size < 2) return { size: 1, ofOne, ofTwo: null };
  const two = repeatSample(sample, 2, samples);
  const ofTwo = await tryOnTwo(() => session.run(two.feeds, wanted));
  const isFollowed =
    ofTwo !== null &&
    (own.length === 0 || own.some((name) => followsSamples(ofOne.get(name), ofTwo.get(name))));
  return isFollowed ? { size, ofOne, ofTwo } : { size: 1, ofOne, ofTwo: null };
}

/** Whether an output of two samples has two where one has one, or twice as many rows. */
export function followsSamples(one: Fetched | undefined, two: Fetched | undefined): boolean {
  if (one === undefined || two === undefined) return false;
  return findSampleAxis([one.shape, two.shape], [1, 2]) !== null || two.shape[0] === 2 * one.shape[0];
}

/** The size that `planBatches` has. */
export async function chooseBatchSize(...given: Parameters<typeof planBatches>): Promise<number> {
  return (await planBatches(...given)).size;
}

/** What a run on several samples gives; null where the model fails, for there are some that have a batch of 1 inside whatever they declare. */
export async function tryOnTwo<T>(run: () => Promise<T>): Promise<T | null> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof EmpError && error.code === 'model_run_failed') return null;
    throw error;
  }
}

/**
 * The number of samples that the model takes at a time, null where any number will do.
 * @throws EmpError samples_mismatch where the samples do not make up whole batches of it
 */
export function fixedBatchSize(
  inputs: readonly Pick<OnnxInput, 'name' | 'dims'>[],
  samples: SampleSet,
): number | null {
  const axes = new Map(samples.inputs.map(({ name, axis = 0 }) => [name, axis]));
  if ([...axes.values()].includes(null)) return 1;
  const fixed = inputs.flatMap(({ name, dims }) => {
    const size = dims?.[axes.get(name) ?? -1];
    return typeof size === 'number' ? [{ name, dims, size }] : [];
  });
  if (fixed.length === 0) return null;
  const [{ name, dims, size }] = fixed;
  const other = fixed.find((input) => input.size !== size);
  if (other)
    throw new EmpError(
      'samples_mismatch',
      `the model takes ${size} samples at a time of input '${name}' and ${other.size} of '${other.name}'; all inputs must count the same`,
    );
  if (size === 0)
    throw new EmpError(
      'samples_mismatch',
      `input '${name}' of the model takes no samples at a time (shape [${dims}]): export it with a dynamic axis ${axes.get(name)}`,
    );
  if (samples.nSamples % size !== 0)
    throw new EmpError(
      'samples_mismatch',
      `input '${name}' is fixed to ${size} samples at a time (shape [${dims}]), and ${samples.nSamples} samples do not make up whole batches; give a multiple of ${size}, or export the model with a dynamic axis ${axes.get(name)}`,
    );
  return size;
}

function byteLength(tensors: ReadonlyMap<string, Fetched>): number {
  return [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
}
