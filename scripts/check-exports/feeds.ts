import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../src/core/errors.ts';
import { parseNpyHeader } from '../../src/formats/npy.ts';
import { toFloat64, viewNumbers } from '../../src/formats/numbers.ts';
import { ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { widenBfloat16 } from '../../src/graph/passes/widen-bfloat16.ts';
import { type Feeds, type ModelSession, openSession, UNOPTIMIZED } from '../../src/runtime/session.ts';
import { relativeDifference } from '../../test/structure/compare-values.ts';

const RUNTIME = { providers: ['cpu'], threads: 1 } as const;
/** As the exporter made them. */
const BATCHES = [1, 5];

/**
 * What a model is fed at each of two batch sizes, but for one that it does not run with.
 * @throws EmpError where it runs with neither
 */
export async function readFeeds(folder: string, dense: Uint8Array): Promise<Feeds[]> {
  await using session = await openPlain(dense);
  const names = session.outputs.map(({ name }) => name);
  const taken: Feeds[] = [];
  let refusal: EmpError | null = null;
  for (const batch of BATCHES) {
    const feeds = await readFolder(join(folder, `batch-${batch}`));
    try {
      await session.run(feeds, names);
      taken.push(feeds);
    } catch (error) {
      if (!(error instanceof EmpError)) throw error;
      refusal = error;
    }
  }
  if (refusal && taken.length === 0) throw refusal;
  return taken;
}

async function readFolder(folder: string): Promise<Feeds> {
  const files = await readdir(folder);
  const arrays = files.map(async (file) => {
    const bytes = new Uint8Array(await readFile(join(folder, file)));
    const { dtype, shape, dataOffset } = parseNpyHeader(bytes);
    const data = viewNumbers(bytes.slice(dataOffset).buffer, dtype);
    return [basename(file, '.npy'), { dtype, shape, data }] as const;
  });
  return new Map(await Promise.all(arrays));
}

/** Opens a model as it is written, but in float32 where it is in bfloat16, for which onnxruntime has no kernels. */
async function openPlain(bytes: Uint8Array): Promise<ModelSession> {
  const proto = fromBinary(ModelProtoSchema, bytes);
  const before = toBinary(ModelProtoSchema, proto);
  widenBfloat16(proto);
  const widened = toBinary(ModelProtoSchema, proto);
  const isWidened = Buffer.compare(before, widened) !== 0;
  return await openSession(isWidened ? widened : bytes, RUNTIME, UNOPTIMIZED);
}

/**
 * Largest difference of any output of two models at each of `feeds`, relative to its largest number; infinite where shapes differ.
 * @throws EmpError where one does not open or run
 */
export async function compareModels(
  found: Uint8Array,
  expected: Uint8Array,
  feeds: readonly Feeds[],
): Promise<number> {
  await using left = await openPlain(found);
  await using right = await openPlain(expected);
  const names = right.outputs.map(({ name }) => name);
  let worst = 0;
  for (const feed of feeds) {
    const [given, wanted] = [await left.run(feed, names), await right.run(feed, names)];
    for (const name of names) {
      const [one, other] = [given.get(name), wanted.get(name)];
      const isAlike = one && other && one.shape.join() === other.shape.join();
      worst = Math.max(worst, isAlike ? relativeDifference(one, other) : Number.POSITIVE_INFINITY);
    }
  }
  return worst;
}

/**
 * What is wrong with a model that repairs have changed: it has to give numbers, of the dense model's shapes. Null where nothing is.
 * @throws EmpError where one does not open or run
 */
export async function findNoNumbers(
  found: Uint8Array,
  dense: Uint8Array,
  feeds: readonly Feeds[],
): Promise<string | null> {
  await using left = await openPlain(found);
  await using right = await openPlain(dense);
  const names = right.outputs.map(({ name }) => name);
  for (const feed of feeds) {
    const [given, wanted] = [await left.run(feed, names), await right.run(feed, names)];
    for (const name of names) {
      const [one, other] = [given.get(name), wanted.get(name)];
      if (one?.shape.join() !== other?.shape.join())
        return `${name} has shape [${one?.shape}], dense [${other?.shape}]`;
      const isNumber = (value: typeof one) => value && toFloat64(value.data).every(Number.isFinite);
      if (isNumber(other) && !isNumber(one)) return `${name} is not finite`;
    }
  }
  return null;
}

/**
 * Runs a model at each of `feeds`. Its numbers may be infinite: it may divide by what was pruned.
 * @throws EmpError where it does not open or run
 */
export async function runModel(found: Uint8Array, feeds: readonly Feeds[]): Promise<void> {
  await using session = await openPlain(found);
  const names = session.outputs.map(({ name }) => name);
  for (const feed of feeds) await session.run(feed, names);
}
