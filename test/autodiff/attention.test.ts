import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { clone, toBinary } from '@bufbuild/protobuf';
import { accumulateGradients } from '../../src/autodiff/gradients.ts';
import type { EmpError } from '../../src/core/errors.ts';
import { toFloat64 } from '../../src/formats/numbers.ts';
import { type ModelProto, ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { openSession } from '../../src/runtime/session.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { integers, node } from '../models/build-model.ts';
import { gradientContext } from '../models/perceptron.ts';
import { gaussians } from '../models/small-model.ts';
import { build, MICROSOFT, type Parts } from '../models/traced-model.ts';
import { int32, random } from '../structure/cases/rule-case.ts';
import { createRandom } from './run-model.ts';

const [SAMPLES, LENGTH, WIDTH, OUTPUTS] = [5, 4, 6, 3];
const x = gaussians(SAMPLES * LENGTH * WIDTH, 1);
const wanted = gaussians(SAMPLES * LENGTH * OUTPUTS, 2);
const STEP = 2 ** -8;
const DIRECTIONS = 3;
/** Of the length of the gradient: what float32 and the third derivative cost a difference. */
const TOLERANCE = 4e-3;

/** Queries, keys and values from layers, and a layer after them. */
function around(nodes: Parts['nodes'], [q, k, v, o]: readonly number[], rest: Omit<Parts, 'nodes'> = {}) {
  return build({
    inputs: [['x', ['n', LENGTH, WIDTH]]],
    outputs: ['y'],
    ...rest,
    nodes: [
      node('MatMul', ['x', 'wq'], ['q']),
      node('MatMul', ['x', 'wk'], ['k']),
      node('MatMul', ['x', 'wv'], ['v']),
      ...nodes,
      node('MatMul', ['o', 'wo'], ['y']),
    ],
    initializers: [
      ...[random('wq', [WIDTH, q]), random('wk', [WIDTH, k]), random('wv', [WIDTH, v])],
      ...[random('wo', [o, OUTPUTS]), ...(rest.initializers ?? [])],
    ],
  });
}

const apart = (input: string, output: string, heads: string) => [
  node('Reshape', [input, heads], [`${output}_split`]),
  node('Transpose', [`${output}_split`], [output], { perm: [0, 2, 1, 3] }),
];

const MODELS: readonly { readonly name: string; readonly model: ModelProto }[] = [
  {
    name: 'Attention of heads side by side, with a softcap and something added',
    model: around(
      [
        node('Attention', ['q', 'k', 'v', 'm'], ['o'], {
          ...{ q_num_heads: 2, kv_num_heads: 2, softcap: { float: 0.8 } },
        }),
      ],
      [8, 8, 6, 6],
      { opset: 23, initializers: [random('m', [LENGTH, LENGTH])] },
    ),
  },
  {
    name: 'Attention of grouped heads apart, causal, that are turned by their places',
    model: around(
      [
        ...[...apart('q', 'qs', 'four'), ...apart('k', 'ks', 'two'), ...apart('v', 'vs', 'two')],
        node('RotaryEmbedding', ['qs', 'first', 'cos', 'sin'], ['tq'], {}, MICROSOFT),
        node('RotaryEmbedding', ['ks', 'first', 'cos', 'sin'], ['tk'], {}, MICROSOFT),
        node('Attention', ['tq', 'tk', 'vs'], ['a'], { is_causal: 1 }),
        node('Transpose', ['a'], ['back'], { perm: [0, 2, 1, 3] }),
        node('Reshape', ['back', 'flat'], ['o']),
      ],
      [16, 8, 8, 16],
      {
        opset: 24,
        initializers: [
          ...[random('cos', [LENGTH, 2]), random('sin', [LENGTH, 2]), integers('first', [0])],
          ...[integers('four', [0, 0, 4, 4]), integers('two', [0, 0, 2, 4]), integers('flat', [0, 0, -1])],
        ],
      },
    ),
  },
  {
    name: 'MultiHeadAttention with a bias, one way',
    model: around(
      [
        node(
          'MultiHeadAttention',
          ['q', 'k', 'v', 'b'],
          ['o'],
          { num_heads: 2, unidirectional: 1 },
          MICROSOFT,
        ),
      ],
      [8, 8, 6, 6],
      { initializers: [random('b', [22])] },
    ),
  },
  {
    name: 'Attention of merged weights, in a model of an old opset',
    model: build({
      opset: 12,
      inputs: [['x', ['n', LENGTH, WIDTH]]],
      nodes: [
        node('Attention', ['x', 'wqkv', 'b'], ['o'], { num_heads: 2 }, MICROSOFT),
        node('MatMul', ['o', 'wo'], ['y']),
      ],
      initializers: [random('wqkv', [WIDTH, 24]), random('b', [24]), random('wo', [8, OUTPUTS])],
    }),
  },
];

const contextOf = (t: TestContext, model: ModelProto) =>
  gradientContext(
    t,
    model,
    { shape: [SAMPLES, LENGTH, WIDTH], data: x },
    { shape: [SAMPLES, LENGTH, OUTPUTS], data: wanted },
  );

/** The mean squared error of the model as it is, its weight moved. */
async function lossOf(model: ModelProto, weight: string, moves: readonly number[]): Promise<number> {
  const proto = clone(ModelProtoSchema, model);
  const tensor = proto.graph?.initializer.find(({ name }) => name === weight);
  if (!tensor) throw new TypeError(`no ${weight}`);
  const numbers = new Float32Array(tensor.rawData.slice().buffer).map((number, i) => number + moves[i]);
  tensor.rawData = new Uint8Array(numbers.buffer);
  await using session = await openSession(toBinary(ModelProtoSchema, proto), RUNTIME);
  const feed = { dtype: 'float32', shape: [SAMPLES, LENGTH, WIDTH], data: x };
  const y = (await session.run(new Map([['x', feed]]), ['y'])).get('y');
  const errors = [...toFloat64(y?.data ?? new Float32Array())].map((number, i) => (number - wanted[i]) ** 2);
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

describe('gradients through attention that stands in one operator', () => {
  for (const { name, model } of MODELS) {
    test(`${name}: equal finite differences of the operator`, async (t) => {
      const weights = model.graph?.initializer.map((each) => each.name).filter((each) => /^w/.test(each));
      for await (const { weight, values } of accumulateGradients(
        weights ?? [],
        'mean',
        await contextOf(t, model),
      )) {
        const next = createRandom(3);
        for (let count = 0; count < DIRECTIONS; count++) {
          const step = Array.from(values, () => (next() < 0.5 ? -STEP : STEP));
          const [plus, minus] = [
            await lossOf(model, weight, step),
            await lossOf(
              model,
              weight,
              step.map((number) => -number),
            ),
          ];
          const expected = (plus - minus) / 2;
          const found = values.reduce((sum, value, i) => sum + value * step[i], 0);
          const scale = Math.hypot(...values) * STEP;
          assert.ok(
            scale > 1e-5 && Math.abs(found - expected) < TOLERANCE * scale,
            `${weight}: ${found}, not ${expected}`,
          );
        }
      }
    });
  }

  test('are refused by name where an operator is used in a way that is not covered', async (t) => {
    const model = around(
      [
        node('Shape', ['x'], ['batch'], { end: 1 }),
        node('Expand', ['three', 'batch'], ['lengths']),
        node(
          'GroupQueryAttention',
          ['q', 'k', 'v', '', '', 'lengths', 'four'],
          ['o', 'present_k', 'present_v'],
          { num_heads: 2, kv_num_heads: 1 },
          MICROSOFT,
        ),
      ],
      [16, 8, 8, 16],
      { initializers: [int32('three', [LENGTH - 1]), int32('four', [LENGTH])] },
    );
    const run = async () => {
      for await (const _ of accumulateGradients(['wq'], 'mean', await contextOf(t, model)));
    };
    await assert.rejects(run, (error: EmpError) => {
      assert.equal(error.code, 'unsupported_model');
      assert.deepEqual(
        error.findings.map(({ message }) => message),
        ['GroupQueryAttention of com.microsoft has no gradient rule'],
      );
      return true;
    });
  });
});
