import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType, AttributeProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { repairBiases } from '../../src/repair/bias.ts';
import { findBiases } from '../../src/repair/layer-biases.ts';
import { encode, floats, inventoryOf, model, node, tensor } from '../models/build-model.ts';
import { assertNear, modelPair, repaired, withTensors } from '../models/model-pair.ts';
import { gaussians, multiply, reduceFeatures, type SmallModel } from '../models/small-model.ts';

const N = 90;

/** The weights without every third. */
const thinned = (weights: Float32Array<ArrayBuffer>) => weights.map((value, i) => (i % 3 === 1 ? 0 : value));
const relu = (values: readonly number[]) => values.map((value) => Math.max(0, value));
const plusRow = (values: readonly number[], row: ArrayLike<number>) =>
  values.map((value, i) => value + row[i % row.length]);

function meansOf(values: readonly number[], columns: number): number[] {
  return reduceFeatures(values, [values.length / columns, columns], 1, (value) => value).means;
}

describe('bias', () => {
  const x = gaussians(N * 5, 1).map((value, i) => value + (i % 5));
  const [w1, w2, w3] = [gaussians(30, 2), gaussians(42, 3), gaussians(14, 4)];
  const [b1, b2] = [gaussians(6, 5), gaussians(7, 6)];
  const gemm = node('Gemm', ['x', 'w1', 'b1'], ['a'], { transB: 1 });
  gemm.attribute.push(
    create(AttributeProtoSchema, { name: 'beta', type: AttributeProto_AttributeType.FLOAT, f: 0.5 }),
  );
  const dense: SmallModel = {
    xShape: [N, 5],
    x,
    nodes: [
      gemm,
      node('Relu', ['a'], ['b']),
      node('MatMul', ['b', 'w2'], ['c']),
      node('Identity', ['b2'], ['bias']),
      node('Add', ['bias', 'c'], ['d']),
      node('Relu', ['d'], ['e']),
      node('MatMul', ['e', 'w3'], ['y']),
    ],
    initializers: [
      tensor('w1', [6, 5], w1),
      tensor('b1', [6], b1),
      tensor('w2', [6, 7], w2),
      tensor('b2', [1, 7], b2),
      tensor('w3', [7, 2], w3),
    ],
    outputs: [['y', [N, 2]]],
  };
  const turned = (weights: ArrayLike<number>) =>
    Array.from({ length: 30 }, (_, i) => weights[(i % 6) * 5 + Math.floor(i / 6)]);
  const first = (weights: ArrayLike<number>, bias: ArrayLike<number>) =>
    plusRow(
      multiply(x, turned(weights), [N, 5, 6]),
      Array.from(bias, (value) => value / 2),
    );

  test("takes the dense layers' mean outputs, each with the layers before it repaired", async (t) => {
    const initializers = withTensors(
      dense.initializers ?? [],
      tensor('w1', [6, 5], thinned(w1)),
      tensor('w2', [6, 7], thinned(w2)),
      tensor('w3', [7, 2], thinned(w3)),
    );
    const pair = await modelPair(t, dense, { w1: null, w2: null, w3: null }, { initializers });
    const work = await repairBiases(pair, pair.edits);
    assert.deepEqual(work, { nRepaired: 2, leftOut: [{ name: 'w3', reason: 'has no bias of its own' }] });
    assert.ok(Math.abs(pair.passes.count - 3) < 1e-9, `${pair.passes.count} passes`);

    const [before, after] = [first(w1, b1), first(thinned(w1), b1)];
    const target = meansOf(before, 6);
    const mean = meansOf(after, 6);
    const newB1 = [...b1].map((value, unit) => value + 2 * (target[unit] - mean[unit]));
    assertNear(await repaired(pair, 'b1'), newB1, 1e-6);

    const denseSecond = multiply(relu(before), w2, [N, 6, 7]);
    const prunedSecond = multiply(relu(first(thinned(w1), newB1)), thinned(w2), [N, 6, 7]);
    const [secondTarget, secondMean] = [meansOf(denseSecond, 7), meansOf(prunedSecond, 7)];
    assertNear(
      await repaired(pair, 'b2'),
      [...b2].map((value, unit) => value + secondTarget[unit] - secondMean[unit]),
      1e-6,
    );
    assertNear(await repaired(pair, 'w1'), thinned(w1), 0);
  });

  test('of a convolution, per channel over all positions', async (t) => {
    const kernel = gaussians(3 * 2 * 9, 7);
    const convolution: SmallModel = {
      xShape: [20, 2, 5, 5],
      x: gaussians(20 * 50, 8).map((value) => value + 1),
      nodes: [node('Conv', ['x', 'k', 'b'], ['y'], { pads: [1, 1, 1, 1] })],
      initializers: [tensor('k', [3, 2, 3, 3], kernel), tensor('b', [3], gaussians(3, 9))],
      outputs: [['y', [20, 3, 5, 5]]],
    };
    const initializers = withTensors(
      convolution.initializers ?? [],
      tensor('k', [3, 2, 3, 3], thinned(kernel)),
    );
    const pair = await modelPair(t, convolution, { k: null }, { initializers });
    await repairBiases(pair, pair.edits);
    const shift = Array<number>(3).fill(0);
    // By linearity, the mean of what the dropped weights gave.
    for (let sample = 0; sample < 20; sample++) {
      for (let i = 0; i < kernel.length; i++) {
        if (thinned(kernel)[i] !== 0) continue;
        const [filter, channel, row, column] = [
          Math.floor(i / 18),
          Math.floor(i / 9) % 2,
          Math.floor(i / 3) % 3,
          i % 3,
        ];
        for (let r = Math.max(0, row - 1); r < 5 + Math.min(0, row - 1); r++) {
          for (let c = Math.max(0, column - 1); c < 5 + Math.min(0, column - 1); c++) {
            shift[filter] +=
              (kernel[i] * convolution.x[((sample * 2 + channel) * 5 + r) * 5 + c]) / (20 * 25);
          }
        }
      }
    }
    const bias = gaussians(3, 9);
    assertNear(
      await repaired(pair, 'b'),
      [...bias].map((value, unit) => value + shift[unit]),
      1e-6,
    );
  });

  test('of a layer that has lost units', async (t) => {
    const kept = [0, 2, 5];
    const rows = (values: Float32Array, columns: number) =>
      Float32Array.from(kept.flatMap((unit) => [...values.subarray(unit * columns, (unit + 1) * columns)]));
    const w2Kept = rows(w2, 7);
    const initializers = withTensors(
      dense.initializers ?? [],
      tensor('w1', [3, 5], rows(w1, 5)),
      tensor('b1', [3], rows(b1, 1)),
      tensor('w2', [3, 7], w2Kept),
    );
    const pair = await modelPair(t, dense, { w1: kept, w2: null }, { initializers });
    assert.equal((await repairBiases(pair, pair.edits)).nRepaired, 2);
    assertNear(await repaired(pair, 'b1'), rows(b1, 1), 1e-6);
    const hidden = relu(first(w1, b1));
    const left = hidden.filter((_, i) => kept.includes(i % 6));
    const target = meansOf(multiply(hidden, w2, [N, 6, 7]), 7);
    const mean = meansOf(multiply(left, w2Kept, [N, 3, 7]), 7);
    assertNear(
      await repaired(pair, 'b2'),
      [...b2].map((value, unit) => value + target[unit] - mean[unit]),
      1e-6,
    );
  });

  test('leaves the bias of a layer that no sample reaches as it is', async (t) => {
    const w = gaussians(10, 2);
    const [weight, bias] = [tensor('w', [5, 2], w), tensor('b', [2], gaussians(2, 3))];
    const idle: SmallModel = {
      ...dense,
      nodes: [
        node('ReduceMax', ['x'], ['most'], { axes: [1], keepdims: 0 }),
        node('Greater', ['most', 'limit'], ['chosen']),
        node('Compress', ['x', 'chosen'], ['none'], { axis: 0 }),
        node('MatMul', ['none', 'w'], ['product']),
        node('Add', ['product', 'b'], ['y']),
      ],
      initializers: [weight, bias, tensor('limit', [], Float32Array.of(1e9))],
      outputs: ['y'],
    };
    const initializers = withTensors(idle.initializers ?? [], tensor('w', [5, 2], thinned(w)));
    const pair = await modelPair(t, idle, { w: null }, { initializers });
    assert.deepEqual(await repairBiases(pair, pair.edits), {
      nRepaired: 0,
      leftOut: [{ name: 'b', reason: 'is of a layer that no sample reaches' }],
    });
    assert.deepEqual([...(await repaired(pair, 'b'))], [...gaussians(2, 3)]);
  });

  test('of parts of one weight, unless units of it are gone', async (t) => {
    const split = node('Split', ['w'], ['top', 'bottom'], { axis: 0 });
    const parts: SmallModel = {
      ...dense,
      nodes: [
        split,
        node('Relu', ['x'], ['r']),
        node('Gemm', ['x', 'top', 'b1'], ['y'], { transB: 1 }),
        node('Gemm', ['r', 'bottom', 'b2'], ['z'], { transB: 1 }),
      ],
      initializers: [
        ...[tensor('w', [6, 5], w1), tensor('b1', [3], b1.slice(0, 3))],
        tensor('b2', [3], b1.slice(3)),
      ],
      outputs: ['y', 'z'],
    };
    const initializers = withTensors(parts.initializers ?? [], tensor('w', [6, 5], thinned(w1)));
    const pair = await modelPair(t, parts, { w: null }, { initializers });
    assert.equal((await repairBiases(pair, pair.edits)).nRepaired, 2);
    const means = [x, x.map((value) => Math.max(0, value))].map((values) => meansOf([...values], 5));
    for (const [part, name] of ['b1', 'b2'].entries()) {
      const lost = [0, 1, 2].map((unit) => {
        const row = 5 * (3 * part + unit);
        const gone = (i: number) => w1[row + i] - thinned(w1)[row + i];
        return means[part].reduce((sum, mean, i) => sum + mean * gone(i), b1[3 * part + unit]);
      });
      assertNear(await repaired(pair, name), lost, 1e-5, name);
    }
    const smaller = await modelPair(t, parts, { w: [0, 1, 2, 3, 4, 5] }, { initializers });
    assert.deepEqual(
      (await repairBiases(smaller, smaller.edits)).leftOut.map(({ name }) => name),
      ['b1', 'b2'],
    );
  });

  test('leaves out layers whose bias is not their own, not one number a unit, or none, and says why', async () => {
    const weights = ['w', 'v', 'u', 's', 'r', 'q'];
    const proto = model({
      nodes: [
        node('Gemm', ['x', 'w', 'shared'], ['a']),
        node('Gemm', ['a', 'v', 'shared'], ['b']),
        node('Gemm', ['b', 'u', 'one'], ['c']),
        node('MatMul', ['c', 's'], ['d']),
        node('Gemm', ['d', 'r', 'own'], ['e']),
        node('Gemm', ['e', 'r', 'own'], ['f']),
        node('Neg', ['minus'], ['computed']),
        node('Gemm', ['f', 'q', 'computed'], ['g']),
        node('Mul', ['g', 'shared'], ['y']),
      ],
      initializers: [
        ...weights.map((name) => floats(name, [4, 4])),
        floats('shared', [4]),
        floats('one', [1]),
        floats('own', [4]),
        floats('minus', [4]),
      ],
      inputs: ['x'],
      outputs: ['y'],
    });
    const { found, leftOut } = findBiases(new OnnxModel(proto), await inventoryOf(encode(proto)), [
      ...weights,
      'gone',
    ]);
    assert.deepEqual(found, []);
    assert.deepEqual(leftOut, [
      { name: 'u', reason: 'has no bias of its own' },
      { name: 's', reason: 'has no bias of its own' },
      { name: 'q', reason: 'has a bias that is a part of another tensor, or computed' },
      { name: 'gone', reason: 'belongs to no layer of the main graph' },
      { name: 'w', reason: 'shares its bias shared with node Mul_y (Mul)' },
      { name: 'v', reason: 'shares its bias shared with node Mul_y (Mul)' },
      { name: 'r', reason: 'comes after itself with the bias own' },
    ]);
  });
});
