import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { repairBatchNorms } from '../../src/repair/batch-norm.ts';
import { findBatchNorms } from '../../src/repair/writable-batch-norms.ts';
import { encode, floats, graph, inventoryOf, model, node, tensor } from '../models/build-model.ts';
import { assertNear, modelPair, repaired } from '../models/model-pair.ts';
import { gaussians, multiply, type SmallModel } from '../models/small-model.ts';

const EPSILON = 1e-5;
const N = 150;

/** Scale, bias and statistics of a BatchNormalization, as initializers `<name>.scale` and so on. */
function normTensors(name: string, channels: number, seed: number) {
  const numbers = gaussians(4 * channels, seed);
  const part = (i: number) => numbers.slice(i * channels, (i + 1) * channels);
  return [
    tensor(
      `${name}.scale`,
      [channels],
      part(0).map((value) => 1 + 0.3 * value),
    ),
    tensor(`${name}.bias`, [channels], part(1)),
    tensor(`${name}.mean`, [channels], part(2)),
    tensor(
      `${name}.var`,
      [channels],
      part(3).map((value) => 0.5 + value ** 2),
    ),
  ];
}

function norm(name: string, input: string, output: string, attributes = {}) {
  const inputs = ['scale', 'bias', 'mean', 'var'].map((part) => `${name}.${part}`);
  return node('BatchNormalization', [input, ...inputs], [output], attributes);
}

/** What PyTorch does in training mode with all of `x`, `[n, channels, inner]`, as one batch: statistics, and the output that they give. */
function trainNorm(
  x: readonly number[],
  channels: number,
  inner: number,
  scale: Float32Array,
  bias: Float32Array,
) {
  const channelOf = (i: number) => Math.floor(i / inner) % channels;
  const count = x.length / channels;
  const mean = Array<number>(channels).fill(0);
  x.forEach((value, i) => {
    mean[channelOf(i)] += value / count;
  });
  const squares = Array<number>(channels).fill(0);
  x.forEach((value, i) => {
    squares[channelOf(i)] += (value - mean[channelOf(i)]) ** 2;
  });
  const variance = squares.map((sum) => sum / (count - 1));
  const output = x.map((value, i) => {
    const channel = channelOf(i);
    const deviation = Math.sqrt(squares[channel] / count + EPSILON);
    return ((value - mean[channel]) / deviation) * scale[channel] + bias[channel];
  });
  return { mean, variance, output };
}

const numbersOf = (tensors: ReturnType<typeof normTensors>, part: number) =>
  new Float32Array(tensors[part].rawData.slice().buffer);

describe('batch_norm', () => {
  const [w1, w2, w3] = [gaussians(5 * 6, 1), gaussians(6 * 4, 2), gaussians(6 * 4, 3)];
  const [n1, n2, n3] = [normTensors('n1', 6, 11), normTensors('n2', 4, 12), normTensors('n3', 4, 13)];
  const x = gaussians(N * 5, 5).map((value, i) => value * (1 + (i % 5)) + (i % 5));
  /** The second and the third do not depend on each other. */
  const branches: SmallModel = {
    xShape: [N, 5],
    x,
    nodes: [
      node('MatMul', ['x', 'w1'], ['a']),
      norm('n1', 'a', 'b'),
      node('Relu', ['b'], ['c']),
      node('MatMul', ['c', 'w2'], ['d']),
      norm('n2', 'd', 'e'),
      node('MatMul', ['c', 'w3'], ['f']),
      norm('n3', 'f', 'g'),
      node('Add', ['e', 'g'], ['y']),
    ],
    initializers: [
      tensor('w1', [5, 6], w1),
      tensor('w2', [6, 4], w2),
      tensor('w3', [6, 4], w3),
      ...n1,
      ...n2,
      ...n3,
    ],
    outputs: [['y', [N, 4]]],
  };

  test('gives every node what one training-mode batch of all samples does, upstream first, in as few passes as depend on each other', async (t) => {
    const pair = await modelPair(t, branches, {});
    const work = await repairBatchNorms(pair, pair.edits);
    assert.deepEqual(work, { nRepaired: 3, leftOut: [] });
    assert.ok(Math.abs(pair.passes.count - 2) < 1e-9, `${pair.passes.count} passes`);
    const first = trainNorm(multiply(x, w1, [N, 5, 6]), 6, 1, numbersOf(n1, 0), numbersOf(n1, 1));
    assertNear(await repaired(pair, 'n1.mean'), first.mean, 1e-6);
    assertNear(await repaired(pair, 'n1.var'), first.variance, 1e-6);
    const hidden = first.output.map((value) => Math.max(0, value));
    for (const [name, weight, own] of [
      ['n2', w2, n2],
      ['n3', w3, n3],
    ] as const) {
      const then = trainNorm(multiply(hidden, weight, [N, 6, 4]), 4, 1, numbersOf(own, 0), numbersOf(own, 1));
      // The first normalizes by the unbiased variance from now on, which is larger by a part in N.
      assertNear(await repaired(pair, `${name}.mean`), then.mean, 1 / N);
      assertNear(await repaired(pair, `${name}.var`), then.variance, 2 / N);
    }
  });

  for (const [shape, opset] of [
    [[40, 3, 7], 17],
    [[40, 3, 4, 5], 9],
    [[40, 3, 2, 3, 2], 13],
  ] as const) {
    test(`of inputs [${shape}], opset ${opset}, far from zero`, async (t) => {
      const inner = shape.slice(2).reduce((product, size) => product * size, 1);
      const values = gaussians(40 * 3 * inner, 21).map(
        (value, i) => 1000 + value * (1 + (Math.floor(i / inner) % 3)),
      );
      const own = normTensors('n', 3, 22);
      const small: SmallModel = {
        opset,
        xShape: [...shape],
        x: values,
        nodes: [norm('n', 'x', 'y')],
        initializers: own,
        outputs: [['y', [...shape]]],
      };
      const pair = await modelPair(t, small, {});
      await repairBatchNorms(pair, pair.edits);
      const { mean, variance } = trainNorm([...values], 3, inner, numbersOf(own, 0), numbersOf(own, 1));
      assertNear(await repaired(pair, 'n.mean'), mean, 1e-7);
      assertNear(await repaired(pair, 'n.var'), variance, 1e-7);
      assertNear(await repaired(pair, 'n.scale'), numbersOf(own, 0), 0);
    });
  }

  test('undo puts back what was there', async (t) => {
    const pair = await modelPair(t, branches, {});
    const before = await repaired(pair, 'n2.var');
    await repairBatchNorms(pair, pair.edits);
    assert.notDeepEqual(await repaired(pair, 'n2.var'), before);
    await pair.edits.undo();
    assert.deepEqual(await repaired(pair, 'n2.var'), before);
    assertNear(await repaired(pair, 'n1.mean'), numbersOf(n1, 2), 0);
  });

  test('leaves out those whose statistics are not their own, or not stored, and says why', async () => {
    const inner = graph({ nodes: [norm('n', 'x', 'z')], outputs: ['z'] });
    const proto = model({
      nodes: [
        norm('n', 'x', 'a'),
        norm('m', 'a', 'b'),
        node('BatchNormalization', ['b', 'm.scale', 'm.bias', 'm.mean', 'k.var'], ['c']),
        norm('o', 'c', 'd', { training_mode: 1 }),
        node('Neg', ['p.mean'], ['minus']),
        node('BatchNormalization', ['d', 'p.scale', 'p.bias', 'minus', 'p.var'], ['e']),
        node('If', ['condition'], ['f'], { then_branch: inner, else_branch: inner }),
      ],
      initializers: ['n', 'm', 'o', 'p']
        .flatMap((name) => normTensors(name, 3, 1))
        .concat(floats('k.var', [3])),
      inputs: ['x', 'condition'],
      outputs: ['f'],
    });
    const { found, leftOut } = findBatchNorms(new OnnxModel(proto), await inventoryOf(encode(proto)));
    assert.deepEqual(found, []);
    const body = 'stands in a function or in the body of an If, Loop or Scan, where nothing can be measured';
    assert.deepEqual(leftOut, [
      { name: 'BatchNormalization_a', reason: 'shares n.mean with node BatchNormalization_z' },
      { name: 'BatchNormalization_b', reason: 'shares m.mean with node BatchNormalization_c' },
      { name: 'BatchNormalization_c', reason: 'shares m.mean with node BatchNormalization_b' },
      { name: 'BatchNormalization_d', reason: 'normalizes by the statistics of each batch' },
      { name: 'BatchNormalization_e', reason: 'computes its statistics' },
      { name: 'BatchNormalization_z', reason: body },
      { name: 'BatchNormalization_z', reason: body },
    ]);
  });
});
