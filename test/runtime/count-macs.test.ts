import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { elementCount } from '../../src/formats/model.ts';
import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { countMacs, type ModelMacs } from '../../src/runtime/count-macs.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';
import { encode, graph, integers, node } from '../models/build-model.ts';
import { EXPERT_MODELS, EXPERTS, HIDDEN, WIDTH } from '../models/expert-models.ts';
import { FUSED_PAIRS } from '../models/fused-models.ts';
import {
  dynamicQuantizeMatMul,
  matMulInteger,
  matMulIntegerToFloat,
  matMulNBits,
  qGemm,
  qLinearMatMul,
  quantizedPair,
} from '../models/quantized-models.ts';
import { build, MICROSOFT, NEVER } from '../models/traced-model.ts';
import { sharedFixtures } from '../shared.ts';
import { random } from '../structure/cases/rule-case.ts';
import { fixtureSamples, writeArray } from './samples.ts';

async function stored(t: TestContext, proto: ModelProto): Promise<StoredModel> {
  const directory = await testFolder(t);
  await writeFile(join(directory, 'model.onnx'), encode(proto));
  return await readStoredModel(directory, ['model.onnx']);
}

async function macsOf(
  t: TestContext,
  proto: ModelProto,
  samples: SampleSet | null = null,
): Promise<ModelMacs> {
  return await countMacs({ model: await stored(t, proto), runtime: RUNTIME, signal: NEVER }, samples);
}

async function samplesOf(t: TestContext, shape: readonly number[]): Promise<SampleSet> {
  const inputs = [
    await writeArray(await testFolder(t), 'x', 'float32', shape, new Float32Array(elementCount(shape))),
  ];
  return { nSamples: shape[0], inputs, labels: null };
}

/** The name of every layer's output with its count, and the weights that it multiplies by. */
const told = ({ layers }: ModelMacs) =>
  Object.fromEntries(
    layers.map(({ output, macs, products }) => [
      output,
      [macs, ...products.flatMap(({ weights }) => weights)],
    ]),
  );

describe('multiply-accumulates', () => {
  test('of convolutions with strides, paddings, dilations and groups, and of transposed ones', async (t) => {
    const counted = await macsOf(
      t,
      build({
        inputs: [['x', ['batch', 4, 11, 9]]],
        nodes: [
          node('Conv', ['x', 'k1'], ['a'], { strides: [2, 1], pads: [1, 1, 1, 1] }),
          node('Conv', ['a', 'k2'], ['b'], { group: 3, dilations: [2, 2] }),
          node('Conv', ['b', 'k3'], ['c'], { group: 6 }),
          node('ConvTranspose', ['c', 'k4'], ['d'], { group: 2, strides: [2, 2], pads: [1, 1, 0, 0] }),
        ],
        initializers: [
          ...[random('k1', [6, 4, 3, 3]), random('k2', [6, 2, 2, 3]), random('k3', [6, 1, 1, 1])],
          random('k4', [6, 5, 2, 2]),
        ],
      }),
    );
    assert.deepEqual(told(counted), {
      // floor((11 + 2 - 3) / 2) + 1 = 6 rows, 9 columns.
      a: [6 * 6 * 9 * (4 * 3 * 3), 'k1'],
      // 6 - 2 = 4 rows and 9 - 4 = 5 columns.
      b: [6 * 4 * 5 * (2 * 2 * 3), 'k2'],
      c: [6 * 4 * 5 * 1, 'k3'],
      // Every element of the input by 5 filters of 2 x 2, cropped or not.
      d: [6 * 4 * 5 * (5 * 2 * 2), 'k4'],
    });
    assert.deepEqual(counted.inputs, [{ name: 'x', shape: [1, 4, 11, 9] }]);
    assert.equal(counted.total, 6 * 54 * 36 + 6 * 20 * 12 + 120 + 120 * 20);
    assert.equal(counted.reason, null);
  });

  test('of products of matrices: stacked, turned, by vectors, and of activations by activations', async (t) => {
    const counted = await macsOf(
      t,
      build({
        inputs: [['x', ['batch', 5, 6]]],
        nodes: [
          node('MatMul', ['x', 'w'], ['q']),
          node('Transpose', ['q'], ['k'], { perm: [0, 2, 1] }),
          node('MatMul', ['q', 'k'], ['scores']),
          node('MatMul', ['scores', 'q'], ['mixed']),
          node('MatMul', ['mixed', 'v'], ['row']),
          node('Gemm', ['row', 'g'], ['y'], { transA: 1, transB: 1 }),
          node('Transpose', ['w'], ['wt']),
          node('MatMul', ['w', 'wt'], ['constant']),
        ],
        outputs: ['y', 'constant'],
        initializers: [random('w', [6, 8]), random('v', [8]), random('g', [3, 1])],
      }),
    );
    assert.deepEqual(told(counted), {
      q: [5 * 6 * 8, 'w'],
      scores: [5 * 5 * 8],
      mixed: [5 * 5 * 8],
      // A vector is no weight.
      row: [5 * 8],
      y: [5 * 1 * 3, 'g'],
    });
  });

  test('of an Einsum that is a contraction, of two terms and of more', async (t) => {
    const counted = await macsOf(
      t,
      build({
        inputs: [['x', ['batch', 5, 6]]],
        nodes: [
          node('Einsum', ['x', 'w'], ['a'], { equation: 'bsi,io->bso' }),
          node('Einsum', ['a', 'a'], ['outer'], { equation: 'bso,bso->bso' }),
          node('Einsum', ['outer', 'u'], ['b'], { equation: '...o,po' }),
          node('Einsum', ['b', 'u', 'w'], ['c'], { equation: 'bsp, po, io -> bsi' }),
          node('Einsum', ['c', 'v'], ['d'], { equation: 'bsi,p->bs' }),
        ],
        initializers: [random('w', [6, 8]), random('u', [4, 8]), random('v', [3])],
      }),
    );
    assert.deepEqual(told(counted), {
      a: [5 * 6 * 8, 'w'],
      b: [5 * 4 * 8, 'u'],
      c: [5 * 4 * 8 + 5 * 6 * 8, 'u', 'w'],
    });
  });

  test('of recurrent layers: both matrices at each step, in each direction', async (t) => {
    const counted = await macsOf(
      t,
      build({
        inputs: [['x', [7, 'batch', 4]]],
        nodes: [node('LSTM', ['x', 'w', 'r'], ['y'], { hidden_size: 5, direction: 'bidirectional' })],
        initializers: [random('w', [2, 20, 4]), random('r', [2, 20, 5])],
      }),
    );
    assert.deepEqual(told(counted), { y: [7 * 2 * 20 * (4 + 5), 'w', 'r'] });
  });

  for (const { name, fused, plain } of FUSED_PAIRS) {
    test(`of ${name} are those of the standard operators`, async (t) => {
      const [one, other] = [await macsOf(t, fused), await macsOf(t, plain)];
      assert.ok(other.total);
      assert.equal(one.total, other.total);
    });
  }

  for (const form of [
    ...[qLinearMatMul('tensor'), qGemm, matMulInteger('tensor'), dynamicQuantizeMatMul],
    ...[matMulIntegerToFloat, matMulNBits(4, 16, true), matMulNBits(8, 32, false)],
  ]) {
    test(`of ${form.name} are those of the floats that it stands for`, async (t) => {
      const { quantized, dense } = quantizedPair(form);
      const [one, other] = [await macsOf(t, quantized), await macsOf(t, dense)];
      assert.ok(other.total);
      assert.equal(one.total, other.total, one.reason ?? '');
    });
  }

  test('of attention by heads: merged, grouped, and with what came before', async (t) => {
    const heads = (name: string, count: number, length: number): [string, (number | string)[]] => [
      name,
      ['batch', count, length, 4],
    ];
    const counted = await macsOf(
      t,
      build({
        opset: 23,
        inputs: [heads('q', 6, 3), heads('k', 2, 3), heads('v', 2, 3), heads('pk', 2, 7), heads('pv', 2, 7)],
        nodes: [node('Attention', ['q', 'k', 'v', '', 'pk', 'pv'], ['y'])],
      }),
    );
    // Six heads that are 4 wide: 3 queries by 7 + 3 keys, and these by the values.
    assert.deepEqual(told(counted), { y: [2 * 6 * 3 * 10 * 4] });

    const grouped = await macsOf(
      t,
      build({
        inputs: [
          ['q', ['batch', 3, 24]],
          ['k', ['batch', 3, 8]],
          ['v', ['batch', 3, 8]],
          ['ends', ['batch'], 'INT32'],
          ['total', [], 'INT32'],
        ],
        nodes: [
          node(
            'GroupQueryAttention',
            ['q', 'k', 'v', '', '', 'ends', 'total'],
            ['y'],
            { num_heads: 6, kv_num_heads: 2 },
            MICROSOFT,
          ),
        ],
      }),
    );
    assert.deepEqual(told(grouped), { y: [2 * 6 * 3 * 3 * 4] });
  });

  test('of experts are those of the experts that a sample gets', async (t) => {
    const found = new Map(EXPERT_MODELS.map(({ name, model }) => [name, model]));
    const moe = await macsOf(t, found.get('MoE')!);
    assert.deepEqual(told(moe), {
      logits: [WIDTH * EXPERTS, 'gate'],
      mixed: [2 * 2 * WIDTH * HIDDEN, 'up_rows', 'down_rows'],
      y: [WIDTH * 3, 'head'],
    });
    const qmoe = await macsOf(t, found.get('QMoE in blocks, gates and values interleaved')!);
    assert.deepEqual(told(qmoe).mixed, [2 * (48 * 128 + 64 * 48), 'up_rows', 'down_rows']);
    for (const [name, model] of found) {
      if (!name.startsWith('picked experts')) continue;
      const { layers, reason } = await macsOf(t, model);
      const { inventory } = await stored(t, model);
      const weights = inventory.tensors.filter(({ role }) => role === 'weight');
      const read = layers.flatMap(({ products }) => products.flatMap((each) => each.weights));
      assert.equal(reason, null, name);
      assert.deepEqual([...new Set(read)].sort(), weights.map((weight) => weight.name).sort(), name);
    }
  });

  test('hold for the sizes of the data, by which open axes get theirs', async (t) => {
    const proto = build({
      inputs: [['x', ['batch', 'sequence', 6]]],
      nodes: [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'second'], ['length']),
        node('Concat', ['length', 'six'], ['target'], { axis: 0 }),
        node('Reshape', ['x', 'target'], ['rows']),
        node('MatMul', ['rows', 'w'], ['y']),
      ],
      initializers: [integers('second', [1]), integers('six', [6]), random('w', [6, 8])],
    });
    const open = await macsOf(t, proto);
    assert.deepEqual([open.total, open.layers], [null, []]);
    assert.equal(
      open.reason,
      'axis 1 of input "x" has no fixed size, and there are no data in use to give it one: evaluation data do',
    );
    const counted = await macsOf(t, proto, await samplesOf(t, [4, 9, 6]));
    assert.deepEqual(counted.inputs, [{ name: 'x', shape: [1, 9, 6] }]);
    assert.deepEqual(told(counted), { y: [9 * 6 * 8, 'w'] });
  });

  test('are of one sample where a model takes several at a time', async (t) => {
    const nodes = [node('MatMul', ['x', 'w'], ['y'])];
    const proto = build({ inputs: [['x', [4, 6]]], nodes, initializers: [random('w', [6, 8])] });
    const counted = await macsOf(t, proto, await samplesOf(t, [8, 6]));
    assert.deepEqual([counted.total, counted.inputs], [48, [{ name: 'x', shape: [1, 6] }]]);
  });

  test('are null where the sizes depend on what is in a sample, or a body runs layers', async (t) => {
    const chosen = await macsOf(
      t,
      build({
        nodes: [
          node('NonZero', ['x'], ['places']),
          node('Cast', ['places'], ['numbers'], { to: 1 }),
          node('MatMul', ['w', 'numbers'], ['z']),
          node('MatMul', ['x', 'v'], ['y']),
        ],
        outputs: ['z', 'y'],
        initializers: [random('w', [3, 2]), random('v', [4, 5])],
      }),
      await samplesOf(t, [2, 4]),
    );
    assert.equal(chosen.total, null);
    assert.match(
      chosen.reason ?? '',
      /^node MatMul_z \(MatMul\) takes or gives (z|numbers), whose sizes are not known$/,
    );
    assert.deepEqual(told(chosen), { z: [null], y: [20, 'v'] });

    const branch = (weight: string) =>
      graph({ nodes: [node('MatMul', ['x', weight], [`${weight}_y`])], outputs: [`${weight}_y`] });
    const inside = await macsOf(
      t,
      build({
        inputs: [
          ['x', ['batch', 4]],
          ['c', [1], 'BOOL'],
        ],
        nodes: [node('If', ['c'], ['y'], { then_branch: branch('w'), else_branch: branch('v') })],
        initializers: [random('w', [4, 5]), random('v', [4, 5])],
      }),
    );
    assert.equal(inside.total, null);
    assert.match(inside.reason ?? '', /^node If_y \(If\) runs layers in its body/);
  });

  test('are null with what onnxruntime says of a model that it does not open', async (t) => {
    const nodes = [node('MatMul', ['x', 'w'], ['y'])];
    const counted = await macsOf(t, build({ nodes, initializers: [random('w', [5, 3])] }));
    assert.equal(counted.total, null);
    assert.match(counted.reason ?? '', /onnxruntime cannot open the model/);
  });
});

describe('multiply-accumulates of trained networks', { skip: sharedFixtures() === null }, () => {
  const square = 28 ** 2;
  const widths = [1, 32, 48, 96, 96, 128];
  const PERCEPTRON = [784, 1000, 600, 300, 100, 10];
  const LINEAR = PERCEPTRON.slice(1).map((units, i) => units * PERCEPTRON[i]);
  const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b);

  /** By the networks' definitions. */
  const EXPECTED: Readonly<Record<string, number>> = {
    'fc2-mnist': 784 * 100 + 100 * 10,
    'fc5-fashion': sum(LINEAR),
    // A spline of eight coefficients and a base weight on each edge.
    'kan-mnist': (784 * 64 + 64 * 10) * 9,
    // Of 128 positions: projections, the gated MLP, both products of attention, and the classes.
    'llama-tiny': 128 * (4 * (4 * 128 ** 2 + 3 * 128 * 344 + 2 * 128 * 128) + 128 * 256),
  };

  for (const [folder, expected] of Object.entries(EXPECTED)) {
    test(folder, async () => {
      const model = await readStoredModel(join(sharedFixtures()!, folder), ['model.onnx']);
      const run = { model, runtime: RUNTIME, signal: NEVER };
      const { total, reason } = await countMacs(run, await fixtureSamples(folder, 'eval'));
      assert.equal(total, expected, reason ?? '');
    });
  }

  test('cnn-fashion, whose pictures are halved twice', async () => {
    const model = await readStoredModel(join(sharedFixtures()!, 'cnn-fashion'), ['model.onnx']);
    const filters = model.inventory.tensors.filter(({ shape }) => shape.length === 4);
    const positions = [square, square, square / 4, square / 4, square / 16];
    const expected = sum(filters.map(({ shape }, i) => positions[i] * elementCount(shape))) + widths[5] * 10;
    const { total } = await countMacs({ model, runtime: RUNTIME, signal: NEVER }, null);
    assert.equal(total, expected);
  });
});
