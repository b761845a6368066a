import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ByteRange } from '../../src/formats/model.ts';
import type { TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import type { RepairContext } from '../../src/repair/repair-context.ts';
import { readNumbers, TensorEdits } from '../../src/repair/tensor-edits.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';
import { writeArray } from '../runtime/samples.ts';
import { encode } from './build-model.ts';
import { type SmallModel, smallModel } from './small-model.ts';

/** A dense and a pruned model, and the samples that both are run on. */
export interface ModelPair extends RepairContext {
  readonly edits: TensorEdits;
  /** Passes over the samples so far. */
  readonly passes: { count: number };
}

/**
 * Writes both to folders of the test.
 * @param kept the weights that were pruned, and which units of each are left
 * @param pruned what of the pruned model is different
 * @param masks packed, of the weights that have one
 */
export async function modelPair(
  t: TestContext,
  dense: SmallModel,
  kept: Readonly<Record<string, readonly number[] | null>>,
  pruned: Partial<SmallModel> = {},
  masks: Readonly<Record<string, Uint8Array>> = {},
): Promise<ModelPair> {
  const folder = await testFolder(t);
  const place = async (name: string, model: SmallModel) => {
    const directory = join(folder, name);
    await mkdir(directory);
    await writeFile(join(directory, 'model.onnx'), encode(smallModel(model)));
    return await readStoredModel(directory, ['model.onnx']);
  };
  const input = await writeArray(folder, 'x', 'float32', dense.xShape, dense.x);
  const prunedModel = await place('pruned', { ...dense, ...pruned });
  const passes = { count: 0 };
  const edits = new TensorEdits(prunedModel, folder, await placeMasks(prunedModel.directory, masks));
  t.after(() => edits[Symbol.asyncDispose]());
  return {
    dense: await place('dense', dense),
    pruned: prunedModel,
    keptUnits: new Map(Object.entries(kept)),
    samples: { nSamples: dense.xShape[0], inputs: [input], labels: null },
    scratchDirectory: folder,
    runtime: RUNTIME,
    signal: new AbortController().signal,
    onSamples(count) {
      passes.count += count / dense.xShape[0];
    },
    edits,
    passes,
  };
}

/** One behind the other, in a file beside the model. */
async function placeMasks(
  directory: string,
  masks: Readonly<Record<string, Uint8Array>>,
): Promise<Map<string, ByteRange>> {
  const ranges = new Map<string, ByteRange>();
  let offset = 0;
  for (const [name, { byteLength }] of Object.entries(masks)) {
    ranges.set(name, { file: 'masks', offset, byteLength });
    offset += byteLength;
  }
  await writeFile(join(directory, 'masks'), Buffer.concat(Object.values(masks)));
  return ranges;
}

/** A tensor of the pruned model. */
export function repaired({ pruned }: ModelPair, name: string): Promise<Float64Array> {
  return readNumbers(pruned, name);
}

/** Those of `tensors`, with others in the place of those that have their names. */
export function withTensors(tensors: readonly TensorProto[], ...others: TensorProto[]): TensorProto[] {
  return tensors.map((tensor) => others.find(({ name }) => name === tensor.name) ?? tensor);
}

/** Every element within `tolerance` times the largest expected one. */
export function assertNear(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = '',
): void {
  assert.equal(found.length, expected.length, what);
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < expected.length; i++) {
    assert.ok(
      Math.abs(found[i] - expected[i]) <= tolerance * largest,
      `${what} element ${i}: ${found[i]}, not ${expected[i]}`,
    );
  }
}
