import { EmpError } from '../core/errors.ts';
import { type FileSource, openFileSource } from '../formats/file-source.ts';
import type { Fetched } from '../formats/numbers.ts';
import { byteWidth, toFloat64, viewNumbers } from '../formats/numbers.ts';
import type { ArrayFile, SampleSet } from '../formats/sample-set.ts';
import type { OnnxInput } from '../graph/interface.ts';
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
  const open = async (array: ArrayFile) => ({ array, source: files.use(await openFileSource(array.path)) });
  const inputs = [];
  for (const array of samples.inputs) inputs.push(await open(array));
  const labels = samples.labels && (await open(samples.labels));
  for (let start = 0; start < samples.nSamples; start += batchSize) {
    signal.throwIfAborted();
    const count = Math.min(batchSize, samples.nSamples - start);
    const feeds = new Map<string, Fetched>();
    for (const { array, source } of inputs)
      feeds.set(array.name, await readRows(array, source, start, count));
    const read = labels && (await readRows(labels.array, labels.source, start, count));
    yield { start, count, feeds, labels: read && toFloat64(read.data) };
  }
}

/** The first batch alone. Throws `samples_mismatch` where there are no samples. */
export async function readFirstBatch(
  samples: SampleSet,
  batchSize: number,
  signal: AbortSignal,
): Promise<Batch> {
  for await (const batch of readBatches(samples, batchSize, signal)) return batch;
  throw new EmpError('samples_mismatch', 'there are no samples');
}

/** A batch of `count` copies of a batch's first sample. */
export function repeatFirst({ start, count: of, feeds, labels }: Batch, count: number): Batch {
  const repeated = [...feeds].map(([name, { dtype, shape, data }]): [string, Fetched] => {
    const first = data.subarray(0, data.length / of);
    const rows = new (data.constructor as new (length: number) => typeof data)(first.length * count);
    for (let row = 0; row < count; row++) rows.set(first as never, row * first.length);
    return [name, { dtype, shape: [count, ...shape.slice(1)], data: rows }];
  });
  const label = labels?.subarray(0, labels.length / of);
  return {
    start,
    count,
    feeds: new Map(repeated),
    labels: label
      ? Float64Array.from({ length: label.length * count }, (_, i) => label[i % label.length])
      : null,
  };
}

/** What errors call the samples of a batch, counted from 0. */
export function nameSamples({ start, count }: Batch): string {
  return count === 1 ? `sample ${start}` : `samples ${start} to ${start + count - 1}`;
}

/** Runs the model on a batch; errors name its samples, counted from 0. Throws `model_run_failed`. */
export async function runBatch(
  session: ModelSession,
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

/**
 * Samples of one batch: the model's fixed number where it has one, else as many as stay within 64, 4 MB of inputs and 16 MB of
 * outputs, by a run on the first sample. It depends on the model and the data alone, so that sums come out the same everywhere.
 * @param outputBytes what the fetched outputs stand for: their own bytes, or those of what they are sums of
 * @throws EmpError samples_mismatch where the samples do not make up whole batches of the fixed number, model_run_failed
 */
export async function chooseBatchSize(
  session: ModelSession,
  samples: SampleSet,
  fetches: readonly string[],
  signal: AbortSignal,
  outputBytes: (outputs: ReadonlyMap<string, Fetched>) => number = byteLength,
): Promise<number> {
  const sample = await readFirstBatch(samples, 1, signal);
  const fixed = fixedBatchSize(session.inputs, samples);
  if (fixed !== null) return fixed;
  const outputs = await runBatch(session, sample, fetches);
  const size = Math.min(
    MAX_BATCH_SAMPLES,
    samples.nSamples,
    Math.floor(MAX_BATCH_INPUT_BYTES / byteLength(sample.feeds)),
    Math.floor(MAX_BATCH_OUTPUT_BYTES / outputBytes(outputs)),
  );
  return Math.max(1, size);
}

/**
 * The number of samples that the model takes at a time, null where any number will do.
 * @throws EmpError samples_mismatch where the samples do not make up whole batches of it
 */
export function fixedBatchSize(
  inputs: readonly Pick<OnnxInput, 'name' | 'dims'>[],
  samples: SampleSet,
): number | null {
  const fixed = inputs
    .filter(({ name }) => samples.inputs.some((input) => input.name === name))
    .filter(({ dims }) => typeof dims?.[0] === 'number');
  if (fixed.length === 0) return null;
  const [{ name, dims }] = fixed;
  const size = Number(dims?.[0]);
  const other = fixed.find((input) => input.dims?.[0] !== size);
  if (other)
    throw new EmpError(
      'samples_mismatch',
      `the model takes ${size} samples at a time of input '${name}' and ${other.dims?.[0]} of '${other.name}'; axis 0 of every input must count the samples`,
    );
  if (size === 0 || samples.nSamples % size !== 0)
    throw new EmpError(
      'samples_mismatch',
      `input '${name}' is fixed to ${size} samples at a time (shape [${dims}]), and ${samples.nSamples} samples do not make up whole batches; give a multiple of ${size}, or export the model with a dynamic axis 0`,
    );
  return size;
}

/** Rows `[start, start + count)` of axis 0. */
async function readRows(
  array: ArrayFile,
  source: FileSource,
  start: number,
  count: number,
): Promise<Fetched> {
  const { dtype } = array;
  const inner = array.shape.slice(1);
  const rowByteLength = inner.reduce((product, size) => product * size, byteWidth(dtype));
  const from = array.offset + start * rowByteLength;
  const bytes = await source.read(from, from + count * rowByteLength);
  return { dtype, shape: [count, ...inner], data: viewNumbers(bytes.buffer as ArrayBuffer, dtype) };
}

function byteLength(tensors: ReadonlyMap<string, Fetched>): number {
  return [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
}
