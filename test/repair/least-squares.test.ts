import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TensorProto_DataType } from '../../src/formats/onnx/onnx-schema.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { repairBiases } from '../../src/repair/bias.ts';
import { findFittableLayers } from '../../src/repair/fittable-layers.ts';
import { repairByLeastSquares } from '../../src/repair/least-squares.ts';
import { encode, floats, inventoryOf, model, node, tensor } from '../models/build-model.ts';
import { assertNear, modelPair, repaired, withTensors } from '../models/model-pair.ts';
import { gaussians, multiply, type SmallModel } from '../models/small-model.ts';
import { correlated, relu, rowsOf, transposed } from './matrices.ts';
import { solveRow } from './normal-equations.ts';

const N = 80;
/** What conjugate gradients leave undone, and float32. */
const TOLERANCE = 1e-5;

/** The weights without every third. */
function thinned<T extends Float32Array<ArrayBuffer> | Float16Array<ArrayBuffer>>(weights: T): T {
  return weights.map((value, i) => ((i * 7) % 3 === 1 ? 0 : value)) as T;
}

describe('least_squares', () => {
  const x = correlated(N, 6, 1);
  const [w1, w2] = [gaussians(6 * 9, 3), gaussians(9 * 4, 4)];
  /** Two layers: `[out, in]` behind a Transpose, and `[in, out]`. */
  const twoLayers: SmallModel = {
    xShape: [N, 6],
    x,
    nodes: [
      node('Transpose', ['w1'], ['w1t'], { perm: [1, 0] }),
      node('MatMul', ['x', 'w1t'], ['a']),
      node('Relu', ['a'], ['b']),
      node('MatMul', ['b', 'w2'], ['y']),
    ],
    initializers: [tensor('w1', [9, 6], w1), tensor('w2', [9, 4], w2)],
    outputs: [['y', [N, 4]]],
  };
  const prunedTensors = withTensors(
    twoLayers.initializers ?? [],
    tensor('w1', [9, 6], thinned(w1)),
    tensor('w2', [9, 4], thinned(w2)),
  );
  const inputs = rowsOf(x, 6);
  const solveAll = (dense: number[][], pruned: number[][], weights: number[][], start: number[][]) =>
    weights.map((row, unit) => solveRow({ dense, pruned, weights: row, start: start[unit] }));

  test('leaves the weights of a layer that no sample reaches where they are', async (t) => {
    const idle: SmallModel = {
      ...twoLayers,
      nodes: [
        node('ReduceMax', ['x'], ['most'], { axes: [1], keepdims: 0 }),
        node('Greater', ['most', 'limit'], ['chosen']),
        node('Compress', ['x', 'chosen'], ['none'], { axis: 0 }),
        node('MatMul', ['none', 'w'], ['y']),
      ],
      initializers: [tensor('w', [6, 2], gaussians(12, 2)), tensor('limit', [], Float32Array.of(1e9))],
      outputs: ['y'],
    };
    const pruned = thinned(gaussians(12, 2));
    const initializers = withTensors(idle.initializers ?? [], tensor('w', [6, 2], pruned));
    const pair = await modelPair(t, idle, { w: null }, { initializers });
    await repairByLeastSquares(pair, pair.edits);
    assert.deepEqual([...(await repaired(pair, 'w'))], [...pruned]);
  });

  test('solves the normal equations of every row, layer by layer', async (t) => {
    const pair = await modelPair(t, twoLayers, { w1: null, w2: null }, { initializers: prunedTensors });
    const work = await repairByLeastSquares(pair, pair.edits);
    assert.deepEqual(work, { nRepaired: 2, leftOut: [] });
    assert.ok(Math.abs(pair.passes.count - 3) < 1e-9, `${pair.passes.count} passes`);
    const first = solveAll(inputs, inputs, rowsOf(w1, 6), rowsOf(thinned(w1), 6));
    assertNear(await repaired(pair, 'w1'), first.flat(), TOLERANCE);

    const hidden = (weights: ArrayLike<number>) =>
      rowsOf(relu(multiply(x, transposed(weights, [9, 6]), [N, 6, 9])), 9);
    const rows = (weights: ArrayLike<number>) => rowsOf(transposed(weights, [9, 4]), 9);
    const second = solveAll(hidden(w1), hidden(first.flat()), rows(w2), rows(thinned(w2)));
    assertNear(await repaired(pair, 'w2'), transposed(second.flat(), [4, 9]), TOLERANCE);
    for (const [name, weights] of [
      ['w1', thinned(w1)],
      ['w2', thinned(w2)],
    ] as const) {
      const found = await repaired(pair, name);
      assert.deepEqual(
        [...found.keys()].filter((i) => found[i] === 0),
        [...weights.keys()].filter((i) => weights[i] === 0),
      );
    }
  });

  test('takes off what another repair has given a bias', async (t) => {
    const weights = gaussians(6 * 5, 6);
    const bias = gaussians(5, 7);
    const gemm: SmallModel = {
      xShape: [N, 6],
      x,
      nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })],
      initializers: [tensor('w', [5, 6], weights), tensor('b', [5], bias)],
      outputs: [['y', [N, 5]]],
    };
    const initializers = withTensors(gemm.initializers ?? [], tensor('w', [5, 6], thinned(weights)));
    const pair = await modelPair(t, gemm, { w: null }, { initializers });
    await repairBiases(pair, pair.edits);
    const shifted = await repaired(pair, 'b');
    await repairByLeastSquares(pair, pair.edits);
    const expected = rowsOf(weights, 6).map((row, unit) =>
      solveRow({
        dense: inputs,
        pruned: inputs,
        weights: row,
        start: rowsOf(thinned(weights), 6)[unit],
        offset: bias[unit] - shifted[unit],
      }),
    );
    assertNear(await repaired(pair, 'w'), expected.flat(), TOLERANCE);
    assert.deepEqual(await repaired(pair, 'b'), shifted);
  });

  test('fits the product alone of a Gemm that scales it and adds to it', async (t) => {
    const weights = gaussians(6 * 5, 15);
    const gemm: SmallModel = {
      xShape: [N, 6],
      x,
      nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { alpha: { float: 0.5 }, beta: { float: 3 } })],
      initializers: [tensor('w', [6, 5], weights), tensor('b', [N, 1], gaussians(N, 16))],
      outputs: [['y', [N, 5]]],
    };
    const initializers = withTensors(gemm.initializers ?? [], tensor('w', [6, 5], thinned(weights)));
    const whole = { ...gemm, batch: N };
    const pair = await modelPair(t, whole, { w: null }, { initializers });
    await repairByLeastSquares(pair, pair.edits);
    const sides = [weights, thinned(weights)].map((side) => rowsOf(transposed(side, [6, 5]), 6));
    const expected = solveAll(inputs, inputs, sides[0], sides[1]);
    assertNear(await repaired(pair, 'w'), transposed(expected.flat(), [5, 6]), TOLERANCE);
  });

  test('fits what is left of a layer that has lost units and inputs', async (t) => {
    const [units, columns] = [
      [1, 3, 4, 8],
      [0, 3],
    ];
    const pick = (values: ArrayLike<number>, width: number) =>
      units.flatMap((unit) => rowsOf(values, width)[unit]);
    const second = units.flatMap((unit) => columns.map((column) => w2[unit * 4 + column]));
    const initializers = [
      tensor('w1', [4, 6], Float32Array.from(pick(w1, 6))),
      tensor('w2', [4, 2], Float32Array.from(second)),
    ];
    const pair = await modelPair(
      t,
      twoLayers,
      { w1: units, w2: columns },
      { initializers, outputs: [['y', [N, 2]]] },
    );
    await repairByLeastSquares(pair, pair.edits);
    assertNear(await repaired(pair, 'w1'), pick(w1, 6), TOLERANCE);
    const hidden = rowsOf(relu(multiply(x, transposed(w1, [9, 6]), [N, 6, 9])), 9);
    const left = hidden.map((row) => units.map((unit) => row[unit]));
    const fitted = columns.map((column) =>
      solveRow({
        dense: hidden,
        pruned: left,
        weights: rowsOf(transposed(w2, [9, 4]), 9)[column],
        start: units.map((unit) => w2[unit * 4 + column]),
      }),
    );
    assertNear(await repaired(pair, 'w2'), transposed(fitted.flat(), [2, 4]), TOLERANCE);
  });

  test('fits a matrix on the left of its input, and one of two places', async (t) => {
    const [left, shared] = [gaussians(4 * 5, 8), gaussians(6 * 6, 9)];
    const cube = correlated(30 * 5, 6, 10);
    const small: SmallModel = {
      opset: 9,
      xShape: [30, 5, 6],
      x: cube,
      nodes: [
        node('MatMul', ['left', 'x'], ['a']),
        node('MatMul', ['x', 'shared'], ['b']),
        node('Neg', ['x'], ['minus']),
        node('Relu', ['minus'], ['c']),
        node('MatMul', ['c', 'shared'], ['d']),
        node('Add', ['b', 'd'], ['e']),
        node('MatMul', ['a', 'last'], ['f']),
        node('ReduceSum', ['e'], ['g'], { axes: [1], keepdims: 1 }),
        node('Add', ['f', 'g'], ['y']),
      ],
      initializers: [
        tensor('left', [4, 5], left),
        tensor('shared', [6, 6], shared),
        tensor('last', [6, 6], gaussians(36, 11)),
      ],
      outputs: [['y', [30, 4, 6]]],
    };
    const initializers = withTensors(
      small.initializers ?? [],
      tensor('left', [4, 5], thinned(left)),
      tensor('shared', [6, 6], thinned(shared)),
    );
    const pair = await modelPair(t, small, { left: null, shared: null }, { initializers });
    assert.equal((await repairByLeastSquares(pair, pair.edits)).nRepaired, 2);
    // The matrix on the left sums over axis 1, for every sample and position of axis 2.
    const columns = Array.from({ length: 30 * 6 }, (_, at) =>
      Array.from({ length: 5 }, (_, i) => cube[(Math.floor(at / 6) * 5 + i) * 6 + (at % 6)]),
    );
    const leftExpected = solveAll(columns, columns, rowsOf(left, 5), rowsOf(thinned(left), 5));
    assertNear(await repaired(pair, 'left'), leftExpected.flat(), TOLERANCE);
    const places = [...rowsOf(cube, 6), ...rowsOf(relu([...cube].map((value) => -value)), 6)];
    const sides = [shared, thinned(shared)].map((weights) => rowsOf(transposed(weights, [6, 6]), 6));
    const sharedExpected = solveAll(places, places, sides[0], sides[1]);
    assertNear(await repaired(pair, 'shared'), transposed(sharedExpected.flat(), [6, 6]), TOLERANCE);
  });

  interface Convolution {
    readonly group?: number;
    readonly strides?: number[];
    readonly pads?: number[];
    readonly dilations?: number[];
    readonly auto_pad?: string;
  }
  const pads = [1, 0, 2, 1];
  const convolutions: (Convolution & { readonly padded?: readonly number[] })[] = [
    {},
    { group: 2, strides: [2, 1], pads, padded: pads, dilations: [1, 2] },
    { group: 4 },
    { auto_pad: 'SAME_UPPER', strides: [2, 1], padded: [0, 0, 1, 1] },
    { auto_pad: 'SAME_LOWER', strides: [2, 1], padded: [1, 1, 0, 0] },
    { auto_pad: 'VALID' },
  ];
  for (const { padded = [0, 0, 0, 0], ...attributes } of convolutions) {
    test(`fits a convolution to the patches that it sees: ${JSON.stringify(attributes)}`, async (t) => {
      const { group = 1, strides = [1, 1], dilations = [1, 1] }: Convolution = attributes;
      const [channels, height, width] = [4, 6, 7];
      const perGroup = channels / group;
      const kernel = gaussians(8 * perGroup * 6, 12);
      const images = correlated(20 * channels, height * width, 13);
      const convolution: SmallModel = {
        xShape: [20, channels, height, width],
        x: images,
        nodes: [node('Conv', ['x', 'k'], ['y'], attributes)],
        initializers: [tensor('k', [8, perGroup, 3, 2], kernel)],
        outputs: ['y'],
      };
      const initializers = [tensor('k', [8, perGroup, 3, 2], thinned(kernel))];
      const pair = await modelPair(t, convolution, { k: null }, { initializers });
      assert.equal((await repairByLeastSquares(pair, pair.edits)).nRepaired, 1);
      const patchesOf = (firstChannel: number) => {
        const [top, leftPad, bottom, right] = padded;
        const rows = Math.floor((height + top + bottom - 2 * dilations[0] - 1) / strides[0]) + 1;
        const columns = Math.floor((width + leftPad + right - dilations[1] - 1) / strides[1]) + 1;
        return Array.from({ length: 20 * rows * columns }, (_, at) => {
          const sample = Math.floor(at / (rows * columns));
          const [row, column] = [Math.floor(at / columns) % rows, at % columns];
          return Array.from({ length: perGroup * 6 }, (_, i) => {
            const r = row * strides[0] - top + Math.floor((i % 6) / 2) * dilations[0];
            const c = column * strides[1] - leftPad + (i % 2) * dilations[1];
            const isInside = r >= 0 && r < height && c >= 0 && c < width;
            return isInside
              ? images[((sample * channels + firstChannel + Math.floor(i / 6)) * height + r) * width + c]
              : 0;
          });
        });
      };
      const [filters, starts] = [kernel, thinned(kernel)].map((weights) => rowsOf(weights, perGroup * 6));
      const expected = Array.from({ length: group }, (_, g) => {
        const patches = patchesOf(g * perGroup);
        const own = (all: number[][]) => all.slice((g * 8) / group, ((g + 1) * 8) / group);
        return solveAll(patches, patches, own(filters), own(starts));
      });
      assertNear(await repaired(pair, 'k'), expected.flat(2), TOLERANCE);
    });
  }

  test('writes float16 weights back as float16', async (t) => {
    const weights = Float16Array.from(gaussians(6 * 5, 14));
    const half: SmallModel = {
      xShape: [N, 6],
      x,
      nodes: [
        node('Cast', ['w'], ['wide'], { to: TensorProto_DataType.FLOAT }),
        node('MatMul', ['x', 'wide'], ['y']),
      ],
      initializers: [tensor('w', [6, 5], weights)],
      outputs: [['y', [N, 5]]],
    };
    const initializers = [tensor('w', [6, 5], thinned(weights))];
    const pair = await modelPair(t, half, { w: null }, { initializers });
    await repairByLeastSquares(pair, pair.edits);
    const sides = [weights, thinned(weights)].map((side) => rowsOf(transposed(side, [6, 5]), 6));
    const expected = transposed(solveAll(inputs, inputs, sides[0], sides[1]).flat(), [5, 6]);
    const found = await repaired(pair, 'w');
    assertNear(found, expected, 2 ** -11);
    assert.deepEqual(found, Float64Array.from(Float16Array.from(found)));
  });

  test('leaves inputs that are all zero as they are', async (t) => {
    const small: SmallModel = {
      xShape: [4, 3],
      x: new Float32Array(12),
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [tensor('w', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6))],
      outputs: [['y', [4, 2]]],
    };
    const initializers = [tensor('w', [3, 2], Float32Array.of(1, 0, 3, 4, 0, 6))];
    const pair = await modelPair(t, small, { w: null }, { initializers });
    await repairByLeastSquares(pair, pair.edits);
    assert.deepEqual([...(await repaired(pair, 'w'))], [1, 0, 3, 4, 0, 6]);
  });

  test('refuses inputs whose products are not finite, naming the weight and the samples', async (t) => {
    const pair = await modelPair(
      t,
      { ...twoLayers, x: x.map((value, i) => (i === 99 ? Number.NaN : value)) },
      { w1: null },
    );
    await assert.rejects(repairByLeastSquares(pair, pair.edits), {
      code: 'non_finite_activation',
      message:
        /^w1: the products of its layer's inputs are NaN, infinite or too large for samples 0 to \d+: look for such numbers in the data, and in the weights/,
    });
  });

  test('leaves out weights that are no stored matrix of a layer, and says why', async () => {
    const names = ['scaled', 'tied', 'follows', 'deconvolution', 'parts', 'turned'];
    const proto = model({
      nodes: [
        node('Mul', ['scaled', 'scale'], ['w']),
        node('MatMul', ['x', 'w'], ['a']),
        node('MatMul', ['a', 'tied'], ['b']),
        node('Gather', ['tied', 'ids'], ['embedded']),
        node('MatMul', ['b', 'follows'], ['c']),
        node('MatMul', ['c', 'follows'], ['d']),
        node('ConvTranspose', ['image', 'deconvolution'], ['e']),
        node('Split', ['parts'], ['p1', 'p2'], { axis: 1 }),
        node('MatMul', ['d', 'p1'], ['f']),
        node('Transpose', ['turned'], ['k'], { perm: [1, 0, 2, 3] }),
        node('Conv', ['image', 'k'], ['g']),
      ],
      initializers: [
        ...['scaled', 'tied', 'follows', 'parts'].map((name) => floats(name, [4, 4])),
        floats('scale', [4, 4]),
        ...['deconvolution', 'turned'].map((name) => floats(name, [4, 4, 2, 2])),
      ],
      inputs: ['x', 'ids', 'image'],
      outputs: ['embedded', 'e', 'f', 'g'],
    });
    const { found, leftOut } = findFittableLayers(
      new OnnxModel(proto),
      await inventoryOf(encode(proto)),
      names,
    );
    assert.deepEqual(found, []);
    assert.deepEqual(Object.fromEntries(leftOut.map(({ name, reason }) => [name, reason])), {
      scaled: 'is read by node Mul_w (Mul), not by its layer alone',
      tied: 'is read by node Gather_embedded (Gather), not by its layer alone',
      follows: 'is shared by layers that follow each other',
      deconvolution:
        'is the weight of node ConvTranspose_e (ConvTranspose), which is no MatMul, Gemm or Conv',
      parts: 'is read by node Split_p1 (Split), not by its layer alone',
      turned: 'is rearranged before node Conv_g (Conv)',
    });
  });
});
