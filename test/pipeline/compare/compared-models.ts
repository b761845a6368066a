import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import type { GivenSamples } from '../../../src/formats/sample-set.ts';
import { readStoredModel } from '../../../src/graph/inventory.ts';
import { type CompareOutcome, compareModels } from '../../../src/pipeline/compare/compare-models.ts';

/** The numbers of a float32 initializer. */
export function numbersOf({ graph }: ModelProto, name: string): Float32Array {
  const found = graph?.initializer.find((tensor) => tensor.name === name);
  if (!found) throw new TypeError(`no ${name}`);
  return new Float32Array(Uint8Array.from(found.rawData).buffer);
}

export type Edit = (value: number, index: number, name: string) => number;

/** A copy of an ONNX file with other numbers in its float32 initializers. */
export function editedCopy(bytes: Uint8Array, edit: Edit): ModelProto {
  const model = fromBinary(ModelProtoSchema, bytes);
  for (const tensor of model.graph?.initializer ?? []) {
    if (tensor.dataType !== 1) continue;
    const numbers = numbersOf(model, tensor.name).map((value, index) => edit(value, index, tensor.name));
    tensor.rawData = new Uint8Array(numbers.buffer);
  }
  return model;
}

export interface Compared extends CompareOutcome {
  readonly directory: string;
}

/** Compares two model files, given as bytes, in a folder of the test. */
export async function compareFiles(
  t: TestContext,
  [original, pruned]: readonly [Uint8Array, Uint8Array],
  { name = 'model.onnx', evaluation = null as GivenSamples | null, chunkElements = 4096 } = {},
): Promise<Compared> {
  const folder = await mkdtemp(join(tmpdir(), 'emp-compare-'));
  t.after(() => rm(folder, { recursive: true }));
  const stored = async (side: string, bytes: Uint8Array) => {
    const path = join(folder, side, name);
    await mkdir(dirname(path));
    await writeFile(path, bytes);
    const model = await readStoredModel(dirname(path), [basename(path)]);
    return { model, identity: { name, sha256: 'not used here', sizeBytes: bytes.byteLength } };
  };
  const outputDirectory = join(folder, 'output');
  await mkdir(outputDirectory);
  const outcome = await compareModels(
    {
      original: await stored('original', original),
      pruned: await stored('pruned', pruned),
      evaluation,
      outputDirectory,
      runtime: { providers: ['cpu'], threads: 1 },
      chunkElements,
    },
    { signal: t.signal, onProgress: () => {} },
  );
  return { ...outcome, directory: outputDirectory };
}

export const encodeModel = (model: ModelProto) => toBinary(ModelProtoSchema, model);
export const readExample = () => readFile(new URL('../../../examples/fc2-mnist.onnx', import.meta.url));
