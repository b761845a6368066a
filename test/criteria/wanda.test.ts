import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { encode, floats, graph, integers, modelFunction, node, tensor } from '../models/build-model.ts';
import {
  assertScores,
  gaussians,
  multiply,
  products,
  reduceFeatures,
  type SmallModel,
  smallModel,
  smallModelContext,
} from '../models/small-model.ts';
import { writeArray } from '../runtime/samples.ts';
import { criterionContext, scoresOf, testFolder } from './run-criterion.ts';

const square = (value: number) => value * value;

const normsOf = (values: ArrayLike<number>, shape: readonly number[], axis: number) =>
  reduceFeatures(values, shape, axis, square).sums.map(Math.sqrt);

const wanda = async (t: TestContext, small: SmallModel) =>
  scoresOf('wanda', await smallModelContext(t, small));

describe('wanda: weight times norm of the input feature', () => {
  for (const opset of [9, 11, 13, 17, 18, 21]) {
    test(`MatMul on either side, opset ${opset}`, async (t) => {
      const [x, w, v] = [gaussians(6 * 3 * 5, 1), gaussians(5 * 4, 2), gaussians(2 * 3, 3)];
      const scores = await wanda(t, {
        nodes: [node('MatMul', ['x', 'w'], ['y']), node('MatMul', ['v', 'x'], ['z'])],
        initializers: [tensor('w', [5, 4], w), tensor('v', [2, 3], v)],
        outputs: ['y', 'z'],
        xShape: [6, 3, 5],
        x,
        opset,
      });
      assertScores(
        scores.get('w'),
        products(w, normsOf(x, [6, 3, 5], 2), (i) => Math.floor(i / 4)),
      );
      assertScores(
        scores.get('v'),
        products(v, normsOf(x, [6, 3, 5], 1), (i) => i % 3),
      );
    });
  }

  for (const [title, inputs, attributes, dims, axis, featureOf] of [
    ['x w', ['x', 'w'], {}, [4, 3], 1, (i: number) => Math.floor(i / 3)],
    ["x w'", ['x', 'w'], { transB: 1 }, [3, 4], 1, (i: number) => i % 4],
    ["x' w", ['x', 'w'], { transA: 1 }, [6, 3], 0, (i: number) => Math.floor(i / 3)],
    ["x' w'", ['x', 'w'], { transA: 1, transB: 1 }, [3, 6], 0, (i: number) => i % 6],
    ['w x', ['w', 'x'], {}, [3, 6], 0, (i: number) => i % 6],
    ["w' x", ['w', 'x'], { transA: 1 }, [6, 3], 0, (i: number) => Math.floor(i / 3)],
    ["w x'", ['w', 'x'], { transB: 1 }, [3, 4], 1, (i: number) => i % 4],
    ["w' x'", ['w', 'x'], { transA: 1, transB: 1 }, [4, 3], 1, (i: number) => Math.floor(i / 3)],
  ] as const) {
    test(`Gemm: ${title}`, async (t) => {
      const [x, w] = [gaussians(6 * 4, 1), gaussians(dims[0] * dims[1], 2)];
      const scores = await wanda(t, {
        nodes: [node('Gemm', [...inputs], ['y'], attributes)],
        initializers: [tensor('w', dims, w)],
        outputs: ['y'],
        xShape: [6, 4],
        x,
        batch: 6, // where axis 0 is summed over, samples are no batch
      });
      assertScores(scores.get('w'), products(w, normsOf(x, [6, 4], axis), featureOf));
    });
  }

  test('Conv in groups and ConvTranspose in groups', async (t) => {
    const [x, w, v] = [gaussians(3 * 4 * 5 * 6, 1), gaussians(6 * 2 * 3 * 3, 2), gaussians(4 * 3 * 2 * 2, 3)];
    const scores = await wanda(t, {
      nodes: [
        node('Conv', ['x', 'w'], ['y'], { group: 2, pads: [1, 1, 1, 1] }),
        node('ConvTranspose', ['x', 'v'], ['z'], { group: 2 }),
      ],
      initializers: [tensor('w', [6, 2, 3, 3], w), tensor('v', [4, 3, 2, 2], v)],
      outputs: ['y', 'z'],
      xShape: [3, 4, 5, 6],
      x,
    });
    const norms = normsOf(x, [3, 4, 5, 6], 1);
    const inGroup = (i: number) => Math.floor(i / 9) % 2;
    const group = (i: number) => Math.floor(i / (3 * 2 * 9));
    assertScores(
      scores.get('w'),
      products(w, norms, (i) => group(i) * 2 + inGroup(i)),
    );
    assertScores(
      scores.get('v'),
      products(v, norms, (i) => Math.floor(i / 12)),
    );
  });

  test('float16 numbers, cast, split and turned on their way', async (t) => {
    const x = gaussians(8 * 3, 1);
    const w = Float16Array.from(gaussians(12, 2));
    const scores = await wanda(t, {
      nodes: [
        node('Cast', ['w'], ['c'], { to: TensorProto_DataType.FLOAT }),
        node('Reshape', ['c', 'shape'], ['r']),
        node('Transpose', ['r'], ['t'], { perm: [1, 0, 2] }),
        node('Reshape', ['t', 'matrix'], ['m']),
        node('MatMul', ['x', 'm'], ['y']),
      ],
      initializers: [tensor('w', [12], w), integers('shape', [2, 3, 2]), integers('matrix', [3, 4])],
      outputs: ['y'],
      xShape: [8, 3],
      x,
    });
    assertScores(
      scores.get('w'),
      products(w, normsOf(x, [8, 3], 1), (i) => Math.floor(i / 2) % 3),
    );
  });

  test('float64 weights far below what float32 holds', async (t) => {
    const x = gaussians(8 * 3, 1);
    const w = Float64Array.from(gaussians(6, 2), (value) => value * 1e-100);
    const stored = create(TensorProtoSchema, {
      name: 'w',
      dims: [3n, 2n],
      dataType: TensorProto_DataType.DOUBLE,
      rawData: new Uint8Array(w.buffer),
    });
    const scores = await wanda(t, {
      nodes: [
        node('Cast', ['x'], ['c'], { to: TensorProto_DataType.DOUBLE }),
        node('MatMul', ['c', 'w'], ['z']),
        node('Cast', ['z'], ['y'], { to: TensorProto_DataType.FLOAT }),
      ],
      initializers: [stored],
      outputs: ['y'],
      xShape: [8, 3],
      x,
    });
    assertScores(
      scores.get('w'),
      products(w, normsOf(x, [8, 3], 1), (i) => Math.floor(i / 2)),
    );
  });

  test('16-bit floats kept as varints', async (t) => {
    const x = gaussians(8 * 3, 1);
    const w = Float16Array.from(gaussians(6, 2));
    const int32Data = [...new Uint16Array(w.buffer)];
    const dataType = TensorProto_DataType.FLOAT16;
    const stored = create(TensorProtoSchema, { name: 'w', dims: [3n, 2n], dataType, int32Data });
    const scores = await wanda(t, {
      nodes: [
        node('Cast', ['w'], ['c'], { to: TensorProto_DataType.FLOAT }),
        node('MatMul', ['x', 'c'], ['y']),
      ],
      initializers: [stored],
      outputs: ['y'],
      xShape: [8, 3],
      x,
    });
    assertScores(
      scores.get('w'),
      products(w, normsOf(x, [8, 3], 1), (i) => Math.floor(i / 2)),
    );
  });

  test('a shared weight: the squares of all its uses', async (t) => {
    const [x, w] = [gaussians(6 * 4, 1), gaussians(4 * 4, 2)];
    const scores = await wanda(t, {
      nodes: [node('MatMul', ['x', 'w'], ['h']), node('MatMul', ['h', 'w'], ['y'])],
      initializers: [tensor('w', [4, 4], w)],
      outputs: ['y'],
      xShape: [6, 4],
      x,
    });
    const h = multiply(x, w, [6, 4, 4]);
    const first = reduceFeatures(x, [6, 4], 1, square).sums;
    const second = reduceFeatures(h, [6, 4], 1, square).sums;
    const norms = first.map((sum, i) => Math.sqrt(sum + second[i]));
    assertScores(
      scores.get('w'),
      products(w, norms, (i) => Math.floor(i / 4)),
    );
  });

  test('the input weights of an LSTM, and an Einsum over two axes', async (t) => {
    const [x, w, v] = [gaussians(5 * 2 * 3, 1), gaussians(2 * 8 * 3, 2), gaussians(3 * 2 * 4, 3)];
    const small = {
      nodes: [
        node('LSTM', ['x', 'w', 'r'], ['h'], { hidden_size: 2, direction: 'bidirectional' }),
        node('Einsum', ['x', 'v'], ['y'], { equation: 'nab,bao->no' }),
      ],
      initializers: [tensor('w', [2, 8, 3], w), floats('r', [2, 8, 2]), tensor('v', [3, 2, 4], v)],
      outputs: ['h', 'y'],
      xShape: [5, 2, 3],
      x,
    };
    const scores = await scoresOf('wanda', await smallModelContext(t, small), ['w', 'v']);
    assertScores(
      scores.get('w'),
      products(w, normsOf(x, [5, 2, 3], 2), (i) => i % 3),
    );
    const norms = normsOf(x, [5, 6], 1);
    assertScores(
      scores.get('v'),
      products(v, norms, (i) => (Math.floor(i / 4) % 2) * 3 + Math.floor(i / 8)),
    );
  });

  test('a layer that gets no positions at all scores zero', async (t) => {
    const x = gaussians(4 * 3 * 2, 1);
    const slice = ['zero', 'zero', 'one'];
    const scores = await wanda(t, {
      nodes: [node('Slice', ['x', ...slice], ['none']), node('MatMul', ['none', 'w'], ['y'])],
      initializers: [tensor('w', [2, 3], gaussians(6, 2)), integers('zero', [0]), integers('one', [1])],
      outputs: ['y'],
      xShape: [4, 3, 2],
      x,
    });
    assert.deepEqual([...(scores.get('w') ?? [])], Array(6).fill(0));
  });

  test('the batches do not matter', async (t) => {
    const [x, w, v] = [gaussians(12 * 3 * 5, 1), gaussians(5 * 4, 2), gaussians(4 * 5, 3)];
    const run = (batch?: number) =>
      wanda(t, {
        nodes: [
          node('MatMul', ['x', 'w'], ['h']),
          node('Tanh', ['h'], ['a']),
          node('MatMul', ['a', 'v'], ['y']),
        ],
        initializers: [tensor('w', [5, 4], w), tensor('v', [4, 5], v)],
        outputs: ['y'],
        xShape: [12, 3, 5],
        x,
        ...(batch ? { batch } : {}),
      });
    const whole = await run();
    for (const batch of [1, 4]) {
      for (const [name, scores] of await run(batch)) assertScores(scores, [...(whole.get(name) ?? [])]);
    }
  });
});

test('external data in a folder of its own', async (t) => {
  const folder = await testFolder(t);
  const [x, w] = [gaussians(6 * 4, 1), gaussians(4 * 300, 2)];
  const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });
  const stored = create(TensorProtoSchema, {
    name: 'w',
    dims: [4n, 300n],
    dataType: TensorProto_DataType.FLOAT,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: [entry('location', 'weights/w.bin'), entry('offset', '0'), entry('length', '4800')],
  });
  const parts = { nodes: [node('MatMul', ['x', 'w'], ['y'])], initializers: [stored], outputs: ['y'] };
  await mkdir(join(folder, 'weights'));
  await writeFile(join(folder, 'weights', 'w.bin'), w);
  await writeFile(join(folder, 'model.onnx'), encode(smallModel({ ...parts, xShape: [6, 4], x })));
  const input = await writeArray(folder, 'x', 'float32', [6, 4], x);
  const samples = { nSamples: 6, inputs: [input], labels: null };
  const context = criterionContext(
    await readStoredModel(folder, ['model.onnx', 'weights/w.bin']),
    await testFolder(t),
    samples,
  );
  const scores = await scoresOf('wanda', context);
  assertScores(
    scores.get('w'),
    products(w, normsOf(x, [6, 4], 1), (i) => Math.floor(i / 300)),
  );
});

describe('what wanda refuses', () => {
  test('layers whose input cannot be captured, all of them at once', async (t) => {
    const branch = (name: string) =>
      graph({ nodes: [node('MatMul', ['x', 'inner'], [name])], outputs: [name] });
    const linear = modelFunction('Linear', ['a', 'm'], ['r'], [node('MatMul', ['a', 'm'], ['r'])]);
    const small: SmallModel = {
      nodes: [
        node('MatMul', ['x', 'fine'], ['y']),
        node('If', ['c'], ['z'], { then_branch: branch('t'), else_branch: branch('e') }),
        node('LSTM', ['x', 'W', 'R'], ['h'], { hidden_size: 2 }),
        node('Linear', ['x', 'called'], ['q'], {}, 'local'),
      ],
      initializers: [
        ...[floats('fine', [3, 3]), floats('inner', [3, 3]), floats('W', [1, 8, 3]), floats('R', [1, 8, 2])],
        floats('called', [3, 3]),
      ],
      outputs: ['y'],
      xShape: [2, 2, 3],
      x: gaussians(12, 1),
    };
    const folder = await testFolder(t);
    const proto = smallModel(small);
    proto.functions.push(linear);
    await writeFile(join(folder, 'model.onnx'), encode(proto));
    const samples = {
      nSamples: 2,
      inputs: [await writeArray(folder, 'x', 'float32', [2, 2, 3], small.x)],
      labels: null,
    };
    const context = criterionContext(await readStoredModel(folder, ['model.onnx']), folder, samples);
    const advice = '; exclude it or use criterion magnitude';
    const inBody =
      'stands in a function or in the body of an If, Loop or Scan, where nothing can be captured';
    await assert.rejects(scoresOf('wanda', context), {
      name: 'EmpError',
      code: 'unsupported_model',
      findings: [
        { path: 'inner', message: `node MatMul_t (MatMul) ${inBody}${advice}` },
        { path: 'R', message: `node LSTM_h (LSTM) keeps the hidden state inside the operator${advice}` },
        { path: 'called', message: `node MatMul_r (MatMul) ${inBody}${advice}` },
      ],
    });
  });

  test('NaN in an activation, naming value, layer and samples', async (t) => {
    const x = gaussians(100 * 2, 1).map(Math.abs);
    x[70 * 2] = -1; // of sample 70; its negative part has no root
    const context = await smallModelContext(t, {
      nodes: [
        node('Relu', ['x'], ['positive']),
        node('Sub', ['x', 'positive'], ['negative']),
        node('Abs', ['x'], ['a']),
        node('MatMul', ['a', 'v'], ['y']),
        node('Sqrt', ['negative'], ['root']),
        node('MatMul', ['root', 'w'], ['z']),
      ],
      initializers: [tensor('v', [2, 2], gaussians(4, 2)), tensor('w', [2, 2], gaussians(4, 3))],
      outputs: ['y', 'z'],
      xShape: [100, 2],
      x,
    });
    const message =
      'the input of its layer (value root) has NaN, infinite or too large numbers for samples 64 to 99';
    await assert.rejects(scoresOf('wanda', context), {
      code: 'non_finite_activation',
      message: `w: ${message}`,
      findings: [{ path: 'w', message }],
    });
  });
});
