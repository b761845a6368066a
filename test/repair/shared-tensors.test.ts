import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { repairBatchNorms } from '../../src/repair/batch-norm.ts';
import { repairBiases } from '../../src/repair/bias.ts';
import { findBiases } from '../../src/repair/layer-biases.ts';
import { repairByLeastSquares } from '../../src/repair/least-squares.ts';
import { openSession } from '../../src/runtime/session.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { encode, inventoryOf, model, node, tensor, value } from '../models/build-model.ts';
import { assertNear, modelPair, repaired, withTensors } from '../models/model-pair.ts';
import { gaussians, multiply, reduceFeatures, type SmallModel, smallModel } from '../models/small-model.ts';
import { type Pruned, pruneFiles } from '../pipeline/prune-files.ts';
import { writeArray } from '../runtime/samples.ts';
import { solveRow } from './normal-equations.ts';

const N = 90;
const x = gaussians(N * 6, 1).map((value, i) => value + 0.2 * (i % 6));
const zeros = (size: number) => new Float32Array(size);
const ones = (size: number) => new Float32Array(size).fill(1);
const thinned = (weights: Float32Array<ArrayBuffer>) => weights.map((value, i) => (i % 3 === 1 ? 0 : value));
const relu = (values: readonly number[]) => values.map((value) => Math.max(0, value));
const rowsOf = (values: ArrayLike<number>, columns: number) =>
  Array.from({ length: values.length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) => values[row * columns + column]),
  );
const meansOf = (values: ArrayLike<number>, columns: number) =>
  reduceFeatures(values, [values.length / columns, columns], 1, (value) => value).means;

describe('tensors that several nodes read, in one model', () => {
  test('least_squares finds the bias of a layer that has a copy of its own in the pruned model', async (t) => {
    const [w1, w2, bias] = [gaussians(6 * 5, 2), gaussians(5 * 5, 3), gaussians(5, 4)];
    const dense: SmallModel = {
      xShape: [N, 6],
      x,
      nodes: [
        node('Gemm', ['x', 'w1', 'bias'], ['a']),
        node('Relu', ['a'], ['b']),
        node('Gemm', ['b', 'w2', 'bias'], ['y']),
      ],
      initializers: [tensor('w1', [6, 5], w1), tensor('w2', [5, 5], w2), tensor('bias', [5], bias)],
      outputs: [['y', [N, 5]]],
    };
    const kept = [0, 2, 3];
    const [first, second] = [
      rowsOf(w1, 5).flatMap((row) => kept.map((unit) => row[unit])),
      kept.flatMap((unit) => rowsOf(w2, 5)[unit]),
    ];
    const [, second_, third] = dense.nodes;
    const pair = await modelPair(
      t,
      dense,
      { w1: kept, w2: null },
      {
        nodes: [node('Gemm', ['x', 'w1', 'copy_0_bias'], ['a']), second_, third],
        initializers: [
          tensor('w1', [6, 3], Float32Array.from(first)),
          tensor('w2', [3, 5], Float32Array.from(second)),
          tensor('bias', [5], bias),
          tensor(
            'copy_0_bias',
            [3],
            Float32Array.from(kept, (unit) => bias[unit]),
          ),
        ],
      },
    );
    assert.equal((await repairBiases(pair, pair.edits)).nRepaired, 2);
    const shifted = await repaired(pair, 'bias');
    const work = await repairByLeastSquares(pair, pair.edits);
    assert.deepEqual(work, { nRepaired: 2, leftOut: [] });
    const hidden = relu(multiply(x, w1, [N, 6, 5]).map((value, i) => value + bias[i % 5]));
    const left = hidden.filter((_, i) => kept.includes(i % 5));
    const expected = Array.from({ length: 5 }, (_, unit) =>
      solveRow({
        dense: rowsOf(hidden, 5),
        pruned: rowsOf(left, 3),
        weights: rowsOf(w2, 5).map((row) => row[unit]),
        start: kept.map((feature) => rowsOf(w2, 5)[feature][unit]),
        offset: bias[unit] - shifted[unit],
      }),
    );
    const found = rowsOf(await repaired(pair, 'w2'), 5);
    for (const [unit, row] of expected.entries())
      assertNear(
        found.map((features) => features[unit]),
        row,
        1e-5,
      );
  });

  test('least_squares takes off what each place of a shared weight adds', async (t) => {
    const [w, b, c] = [gaussians(6 * 4, 5), gaussians(4, 6), gaussians(4, 7)];
    const small: SmallModel = {
      xShape: [N, 6],
      x,
      nodes: [
        node('Gemm', ['x', 'w', 'b'], ['p']),
        node('Exp', ['x'], ['raised']),
        node('Gemm', ['raised', 'w', 'c'], ['q']),
        node('Sub', ['p', 'q'], ['y']),
      ],
      initializers: [tensor('w', [6, 4], w), tensor('b', [4], b), tensor('c', [4], c)],
      outputs: [['y', [N, 4]]],
    };
    const initializers = withTensors(small.initializers ?? [], tensor('w', [6, 4], thinned(w)));
    const pair = await modelPair(t, small, { w: null }, { initializers });
    assert.equal((await repairBiases(pair, pair.edits)).nRepaired, 2);
    const [shiftedB, shiftedC] = [await repaired(pair, 'b'), await repaired(pair, 'c')];
    await repairByLeastSquares(pair, pair.edits);
    const raised = x.map(Math.exp);
    const found = rowsOf(await repaired(pair, 'w'), 4);
    for (let unit = 0; unit < 4; unit++) {
      // A feature of weight 1 that is left alone carries the offset of each place.
      const offsets = [b[unit] - shiftedB[unit], c[unit] - shiftedC[unit]];
      const rows = [x, raised].flatMap((values) => rowsOf(values, 6));
      const column = (weights: ArrayLike<number>) => rowsOf(weights, 4).map((row) => row[unit]);
      const target = rows.map((row, at) => [...row, offsets[Math.floor(at / N)]]);
      const expected = solveRow({
        dense: target,
        pruned: rows,
        weights: [...column(w), 1],
        start: column(thinned(w)),
      });
      assertNear(
        found.map((features) => features[unit]),
        expected,
        1e-5,
      );
    }
  });

  test('batch_norm leaves statistics that are the scale or bias too as they are, and says so', async (t) => {
    const small: SmallModel = {
      xShape: [N, 6],
      x,
      nodes: [node('BatchNormalization', ['x', 'one', 'zero', 'zero', 'one'], ['y'])],
      initializers: [tensor('one', [6], ones(6)), tensor('zero', [6], zeros(6))],
      outputs: [['y', [N, 6]]],
    };
    const pair = await modelPair(t, small, {});
    assert.deepEqual(await repairBatchNorms(pair, pair.edits), {
      nRepaired: 0,
      leftOut: [{ name: 'BatchNormalization_y', reason: 'reads zero as its scale or bias too' }],
    });
    assert.deepEqual([...(await repaired(pair, 'zero'))], [...zeros(6)]);
  });

  test('bias leaves alone one that other nodes read too', async () => {
    const proto = model({
      nodes: [
        node('MatMul', ['x', 'w'], ['a']),
        node('Add', ['a', 'b'], ['c']),
        node('Add', ['c', 'b'], ['d']),
        node('Conv', ['image', 'k', 'e'], ['f']),
        node('BatchNormalization', ['f', 's', 'e', 'm', 'v'], ['y']),
      ],
      initializers: [
        ...['b', 'e', 's', 'm', 'v'].map((name) => tensor(name, [4], ones(4))),
        tensor('w', [4, 4], ones(16)),
        tensor('k', [4, 4, 1, 1], ones(16)),
      ],
      inputs: ['x', 'image'],
      outputs: ['d', 'y'],
    });
    const { found, leftOut } = findBiases(new OnnxModel(proto), await inventoryOf(encode(proto)), ['w', 'k']);
    assert.deepEqual(found, []);
    assert.deepEqual(leftOut, [
      { name: 'w', reason: 'shares its bias b with node Add_d (Add)' },
      { name: 'k', reason: 'shares its bias e with node BatchNormalization_y (BatchNormalization)' },
    ]);
  });
});

describe('tensors that exporters have merged, in jobs that remove channels', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emp-shared-'));
  });
  after(() => rm(folder, { recursive: true }));

  const width = 8;
  const square = (name: string, seed: number) => tensor(name, [width, width], gaussians(width ** 2, seed));
  const layers = [
    tensor('w1', [6, width], gaussians(6 * width, 10)),
    square('w2', 11),
    square('w3', 12),
    tensor('last', [width, 2], gaussians(2 * width, 13)),
    tensor('zero', [width], zeros(width)),
    tensor('one', [width], ones(width)),
    tensor('two', [2], zeros(2)),
  ];
  const job = async (name: string, nodes: SmallModel['nodes'], repair: string[], initializers = layers) => {
    const small: SmallModel = { xShape: [N, 6], x, nodes, initializers, outputs: [['y', [N, 2]]] };
    const path = join(folder, `${name}.onnx`);
    await writeFile(path, encode(smallModel(small)));
    const inputs = [await writeArray(folder, 'x', 'float32', [N, 6], x)];
    const recipe = {
      granularity: 'channel',
      criterion: 'l2_norm',
      scope: 'layer',
      budget: { sparsity: 0.4 },
      round_to: 1,
      repair,
    };
    const calibration = { nSamples: N, inputs, labels: null };
    return { path, pruned: await pruneFiles(path, recipe, { calibration }) };
  };
  const outputOf = async (path: string): Promise<ArrayLike<number>> => {
    await using session = await openSession(path, RUNTIME);
    const results = await session.run(new Map([['x', { dtype: 'float32', shape: [N, 6], data: x }]]), ['y']);
    return results.get('y')?.data as Float32Array;
  };
  const artifactOf = ({ directory }: Pruned, name: string) => join(directory, `${name}.onnx`);

  const stack = [
    node('Gemm', ['x', 'w1', 'zero'], ['a']),
    node('Relu', ['a'], ['b']),
    node('Gemm', ['b', 'w2', 'zero'], ['c']),
    node('Relu', ['c'], ['d']),
    node('Gemm', ['d', 'w3', 'zero'], ['e']),
    node('Relu', ['e'], ['f']),
    node('Gemm', ['f', 'last', 'two'], ['y']),
  ];
  const residual = [
    node('MatMul', ['x', 'w1'], ['m']),
    node('Add', ['m', 'zero'], ['a']),
    node('Relu', ['a'], ['b']),
    node('MatMul', ['b', 'w2'], ['n']),
    node('Add', ['n', 'zero'], ['c']),
    node('Add', ['c', 'zero'], ['moved']),
    node('Relu', ['moved'], ['d']),
    node('Gemm', ['d', 'last', 'two'], ['y']),
  ];
  const normed = [
    node('Gemm', ['x', 'w1', 'zero'], ['a']),
    node('BatchNormalization', ['a', 'one', 'zero', 'zero', 'one'], ['an']),
    node('Relu', ['an'], ['b']),
    node('Gemm', ['b', 'w2', 'zero'], ['c']),
    node('BatchNormalization', ['c', 'one', 'zero', 'zero', 'one'], ['cn']),
    node('Relu', ['cn'], ['d']),
    node('Gemm', ['d', 'last', 'two'], ['y']),
  ];

  for (const [name, nodes, n] of [
    ['stack', stack, 4],
    ['residual', residual, 3],
    ['normed', normed, 3],
  ] as const) {
    test(`${name}: a bias is repaired for each layer, so that mean outputs are the dense ones`, async () => {
      const { path, pruned } = await job(name, [...nodes], ['bias']);
      await using _ = pruned;
      const [{ kept, n_repaired, left_out }] = pruned.report.repair;
      assert.deepEqual([kept, n_repaired, left_out], [true, n, []]);
      const [dense, left] = [await outputOf(path), await outputOf(artifactOf(pruned, name))];
      assertNear(meansOf(left, 2), meansOf(dense, 2), 1e-4);
    });

    test(`${name}: least_squares brings the outputs nearer, after bias too`, async () => {
      const drifts: number[] = [];
      for (const repair of [[], ['least_squares'], ['bias', 'least_squares']]) {
        const { path, pruned } = await job(name, [...nodes], repair);
        await using _ = pruned;
        assert.deepEqual(
          pruned.report.repair.map(({ kept, n_repaired, left_out }) => [kept, n_repaired, left_out]),
          repair.map(() => [true, n, []]),
        );
        const [dense, left] = [await outputOf(path), await outputOf(artifactOf(pruned, name))];
        drifts.push(Array.from(dense).reduce((sum, value, i) => sum + (value - left[i]) ** 2, 0));
      }
      const [none, ...repaired] = drifts;
      for (const drift of repaired) assert.ok(drift < 0.8 * none, `${drifts}`);
    });
  }

  test('batch_norm writes the statistics of each node, and of none a scale or a bias', async () => {
    const { pruned } = await job('normed', normed, ['batch_norm']);
    await using _ = pruned;
    const [{ kept, n_repaired, left_out }] = pruned.report.repair;
    assert.deepEqual([kept, n_repaired, left_out], [true, 2, []]);
    // What comes out of a BatchNormalization has mean 0 and variance 1 again, its scale being 1 and its bias 0.
    const path = artifactOf(pruned, 'normed');
    const proto = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(path)));
    const inner = ['an', 'cn'];
    proto.graph?.output.push(...inner.map((name) => value(name, ['n', 'channels'])));
    await writeFile(join(folder, 'shown.onnx'), toBinary(ModelProtoSchema, proto));
    await using session = await openSession(join(folder, 'shown.onnx'), RUNTIME);
    const results = await session.run(new Map([['x', { dtype: 'float32', shape: [N, 6], data: x }]]), inner);
    for (const name of inner) {
      const { data, shape } = results.get(name) ?? assert.fail();
      const numbers = Array.from(data as Float32Array);
      const means = meansOf(numbers, shape[1]);
      for (const mean of means) assert.ok(Math.abs(mean) < 1e-4, `${name} has mean ${mean}`);
      const squares = meansOf(
        numbers.map((number) => number ** 2),
        shape[1],
      );
      for (const square of squares) assert.ok(Math.abs(square - 1) < 0.02, `${name} has variance ${square}`);
    }
  });
});
