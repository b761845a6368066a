import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { type PreparedModel, prepareModel, writePrepared } from '../../src/autodiff/prepare.ts';
import { type Fetched, toFloat64 } from '../../src/formats/numbers.ts';
import { type ModelProto, ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { type Feeds, openSession } from '../../src/runtime/session.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';

export interface Prepared extends PreparedModel {
  /** The model's own `.onnx` file, and the one that was written. */
  readonly originalPath: string;
  readonly path: string;
}

/** Writes a model and its other files to a folder of the test, prepares it in another and writes it there. */
export async function prepareFiles(
  t: TestContext,
  proto: ModelProto,
  others: Record<string, Uint8Array> = {},
): Promise<Prepared> {
  const folder = await testFolder(t);
  await writeFile(join(folder, 'model.onnx'), toBinary(ModelProtoSchema, proto));
  for (const [name, bytes] of Object.entries(others)) await writeFile(join(folder, name), bytes);
  return await prepareStored(t, folder, ['model.onnx', ...Object.keys(others)]);
}

/** Prepares the model in a folder, in one of the test. */
export async function prepareStored(t: TestContext, folder: string, files: string[]): Promise<Prepared> {
  const prepared = await prepareModel({
    model: await readStoredModel(folder, files),
    directory: await testFolder(t),
    signal: new AbortController().signal,
  });
  const path = await writePrepared(prepared, prepared.proto, 'prepared');
  return { ...prepared, originalPath: join(folder, files[0]), path };
}

export async function runModel(path: string, feeds: Feeds): Promise<ReadonlyMap<string, Fetched>> {
  await using session = await openSession(path, RUNTIME);
  return await session.run(
    feeds,
    session.outputs.map(({ name }) => name),
  );
}

/** The same names, shapes and, relative to the largest, numbers; returns those of the model itself. */
export async function assertSameOutputs(
  prepared: Prepared,
  feeds: Feeds,
  tolerance = 0,
): Promise<ReadonlyMap<string, Fetched>> {
  const expected = await runModel(prepared.originalPath, feeds);
  const widened = [...feeds].map(([name, feed]): [string, Fetched] => [
    name,
    prepared.widenedInputs.includes(name)
      ? { ...feed, dtype: 'float32', data: Float32Array.from(toFloat64(feed.data)) }
      : feed,
  ]);
  const found = await runModel(prepared.path, new Map(widened));
  assert.deepEqual([...found.keys()], [...expected.keys()]);
  for (const [name, { shape, data }] of expected) {
    const other = found.get(name)!;
    assert.deepEqual(other.shape, shape, name);
    const [a, b] = [toFloat64(data), toFloat64(other.data)];
    const scale = a.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    for (const [i, value] of a.entries()) {
      const isSame = Object.is(value, b[i]) || Math.abs(value - b[i]) <= tolerance * scale;
      assert.ok(isSame, `${name}[${i}]: ${b[i]}, not ${value}`);
    }
  }
  return expected;
}

export function float32(shape: number[], data: Float32Array): Fetched {
  return { dtype: 'float32', shape, data };
}
