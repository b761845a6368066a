import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { packMask, unpackMask } from '../../src/core/keep-mask.ts';
import { integers, node, tensor } from '../models/build-model.ts';
import { type ModelPair, modelPair, repaired, withTensors } from '../models/model-pair.ts';
import { gaussians, type SmallModel } from '../models/small-model.ts';
import { correlated } from './matrices.ts';

/** Kept by "score": some two fifths, as many as chance gives each row. */
export const scoredMask = (n: number) =>
  Uint8Array.from({ length: n }, (_, i) => Number((i * i * 7) % 5 < 2));

/** The pair of a model some of whose weights were pruned by `scoredMask`. */
export function prunedPair(
  t: TestContext,
  dense: SmallModel,
  weights: Readonly<Record<string, readonly [dims: number[], values: Float32Array]>>,
): Promise<ModelPair> {
  const entries = Object.entries(weights).map(([name, [dims, values]]) => {
    const mask = scoredMask(values.length);
    const left = values.map((value, i) => (mask[i] === 1 ? value : 0)) as Float32Array<ArrayBuffer>;
    return { name, mask, pruned: tensor(name, dims, left) };
  });
  return modelPair(
    t,
    dense,
    Object.fromEntries(entries.map(({ name }) => [name, null])),
    { initializers: withTensors(dense.initializers ?? [], ...entries.map(({ pruned }) => pruned)) },
    Object.fromEntries(entries.map(({ name, mask }) => [name, packMask(mask)])),
  );
}

/** A convolution of 20 samples `[groups * channels, 7]` by filters of three positions, pruned. */
export async function convolutionPair(t: TestContext, groups: number, channels: number, filters: number) {
  const weights = gaussians(groups * filters * channels * 3, 8);
  const cube = correlated(20 * groups * channels, 7, 9);
  const convolution: SmallModel = {
    xShape: [20, groups * channels, 7],
    x: cube,
    nodes: [node('Conv', ['x', 'w'], ['y'], { group: groups, kernel_shape: [3] })],
    initializers: [tensor('w', [groups * filters, channels, 3], weights)],
    outputs: [['y', [20, groups * filters, 5]]],
  };
  const pair = await prunedPair(t, convolution, { w: [[groups * filters, channels, 3], weights] });
  return { pair, weights, cube };
}

/** `shared` is multiplied by in two places, `read` is multiplied by and read otherwise: both `[10, 6]`, and pruned. `x` is `[n, 10]`. */
export async function sharedPair(t: TestContext, x: Float32Array<ArrayBuffer>) {
  const n = x.length / 10;
  const [shared, read] = [gaussians(10 * 6, 10), gaussians(10 * 6, 11)];
  const small: SmallModel = {
    xShape: [n, 10],
    x,
    nodes: [
      node('MatMul', ['x', 'shared'], ['a']),
      node('Neg', ['x'], ['minus']),
      node('Relu', ['minus'], ['b']),
      node('MatMul', ['b', 'shared'], ['c']),
      node('MatMul', ['x', 'read'], ['d']),
      node('Transpose', ['read'], ['turned'], { perm: [1, 0] }),
      node('Gather', ['turned', 'zero'], ['e'], { axis: 1 }),
      node('Sum', ['a', 'c', 'd', 'e'], ['y']),
    ],
    initializers: [
      tensor('shared', [10, 6], shared),
      tensor('read', [10, 6], read),
      integers('zero', [0], []),
    ],
    outputs: [['y', [n, 6]]],
  };
  const pair = await prunedPair(t, small, { shared: [[10, 6], shared], read: [[10, 6], read] });
  return { pair, shared };
}

/** What a repair has left, and what the mask says of it. */
export async function foundOf(pair: ModelPair, name: string): Promise<number[]> {
  const values = [...(await repaired(pair, name))];
  const mask = unpackMask(await pair.edits.readMask(name), values.length);
  assert.deepEqual(
    [...mask],
    values.map((value) => Number(value !== 0)),
    'masks are of what is kept',
  );
  return values;
}
