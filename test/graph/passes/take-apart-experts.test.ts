import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import type { Fetched } from '../../../src/formats/numbers.ts';
import { ModelProtoSchema, type TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { takenApart } from '../../../src/graph/passes/take-apart.ts';
import { floats, model, node } from '../../models/build-model.ts';
import { EXPERTS, HIDDEN, INNER, quantizedStack, type Stack, TOKENS } from '../../models/expert-stacks.ts';
import { assertNear } from '../../models/model-pair.ts';
import { gaussians, gaussianTensor } from '../../models/small-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { outputsOf } from './pass-check.ts';

const float = (number: number) => ({ float: number });
const gaussian = (name: string, shape: number[], seed: number): [string, Fetched] => [
  name,
  {
    dtype: 'float32',
    shape,
    data: gaussians(
      shape.reduce((a, b) => a * b),
      seed,
    ),
  },
];

/** Whether the parts give what the operator gives. */
async function check(
  operator: string,
  inputs: readonly string[],
  initializers: TensorProto[],
  attributes: object,
  shape = [TOKENS, HIDDEN],
  changeLikelihoods: (logits: Float32Array) => void = () => {},
): Promise<void> {
  const mixture = node(operator, ['x', 'router', ...inputs], ['y'], { k: 2, ...attributes }, MICROSOFT);
  const routed: [string, number[]][] = ['router', ...(inputs.includes('shares') ? ['shares'] : [])].map(
    (name) => [name, [TOKENS, EXPERTS]],
  );
  const proto = model({
    nodes: [mixture],
    initializers,
    inputs: [['x', shape], ...routed],
    outputs: [['y', shape]],
  });
  const apart = takenApart(new OnnxModel(clone(ModelProtoSchema, proto))).proto;
  assert.ok(!apart.graph?.node.some(({ opType }) => opType === operator));
  const feeds = [gaussian('x', shape, 1), ...routed.map(([name, dims], i) => gaussian(name, dims, 2 + i))];
  changeLikelihoods(feeds[1][1].data as Float32Array);
  const [expected, found] = [await outputsOf(proto, ...feeds), await outputsOf(apart, ...feeds)];
  assert.deepEqual(found.get('y')?.shape, shape);
  const numbers = expected.get('y')?.data as Float32Array;
  assert.ok(numbers.some((value) => value !== 0));
  assertNear(found.get('y')?.data as Float32Array, numbers, 1e-5, operator);
}

const SWIGLU = { activation_type: 'swiglu', swiglu_fusion: 1 };
const BENT = {
  ...SWIGLU,
  activation_alpha: float(1.702),
  activation_beta: float(1),
  swiglu_limit: float(0.7),
};

describe('experts of one operator are layers of their own, on the tokens that are theirs', () => {
  const FORMS: [string, object][] = [
    ...['relu', 'gelu', 'silu', 'identity'].map((name): [string, object] => [
      name,
      { activation_type: name },
    ]),
    ['the best alone', { k: 1 }],
    ['all', { k: 3 }],
    ['weights that add up to one', { normalize_routing_weights: 1 }],
    ['gates beside values', SWIGLU],
    ['gates beside values, bent and clipped', BENT],
  ];
  for (const [name, attributes] of FORMS)
    for (const shape of [
      [TOKENS, HIDDEN],
      [1, TOKENS, HIDDEN],
    ])
      test(`MoE: ${name}, input of rank ${shape.length}`, async () => {
        const units = Object.hasOwn(attributes, 'swiglu_fusion') ? 2 * INNER : INNER;
        await check(
          'MoE',
          ['w1', 'b1', 'w2', 'b2'],
          [
            gaussianTensor('w1', [EXPERTS, units, HIDDEN], 4),
            gaussianTensor('b1', [EXPERTS, units], 5),
            gaussianTensor('w2', [EXPERTS, HIDDEN, INNER], 6),
            gaussianTensor('b2', [EXPERTS, HIDDEN], 7),
          ],
          attributes,
          shape,
        );
      });

  const PACKED: [string, 4 | 8, number, boolean, object, inner?: number][] = [
    ['4 bits by unit', 4, 0, false, {}],
    ['4 bits by unit with zero points', 4, 0, true, {}],
    ['8 bits by unit with zero points', 8, 0, true, { normalize_routing_weights: 1 }],
    ['4 bits in blocks', 4, 16, false, { activation_type: 'silu' }],
    ['4 bits in blocks with zero points', 4, 16, true, { k: 1 }],
    ['4 bits in three blocks with zero points', 4, 16, true, {}, 48],
    ['8 bits in blocks, gates beside values', 8, 16, true, BENT],
  ];
  for (const [name, bits, block, hasZeroPoints, attributes, inner = INNER] of PACKED)
    for (const shares of ['', 'shares'])
      test(`QMoE: ${name}${shares && ', shares of their own'}`, async () => {
        const units = Object.hasOwn(attributes, 'swiglu_fusion') ? 2 * inner : inner;
        const stacks = (
          [
            ['w1', units, HIDDEN],
            ['w2', HIDDEN, inner],
          ] satisfies Stack[]
        ).map((stack) => quantizedStack(stack, bits, block, hasZeroPoints));
        const zeros = hasZeroPoints ? ['w1_zero', 'w2_zero', ''] : ['', '', ''];
        await check(
          'QMoE',
          ['w1', 'w1_scale', 'b1', 'w2', 'w2_scale', 'b2', '', '', '', ...zeros, shares],
          [
            ...stacks.flatMap(({ initializers }) => initializers),
            gaussianTensor('b1', [EXPERTS, units], 5),
            gaussianTensor('b2', [EXPERTS, HIDDEN], 7),
          ],
          {
            activation_type: 'relu',
            expert_weight_bits: bits,
            ...(block && { block_size: block }),
            ...attributes,
          },
        );
      });

  const stacks = (bits: 4 | 8) => {
    const both: Stack[] = [
      ['w1', INNER, HIDDEN],
      ['w2', HIDDEN, INNER],
    ];
    return both
      .map((stack) => quantizedStack(stack, bits, 0, false))
      .flatMap(({ initializers }) => initializers);
  };
  const TIES: [string, (logits: Float32Array) => void][] = [
    ['all alike', (logits) => void logits.fill(0)],
    ['two alike, of which one is chosen', (logits) => logits.set(logits.map((_, i) => (i % 3 ? 1 : 9)))],
    [
      'alike but for what a softmax cannot tell',
      (logits) => logits.set(logits.map((_, i) => -200 * (i % 3))),
    ],
  ];
  for (const [name, change] of TIES) {
    test(`MoE: of experts ${name} those that the operator chooses`, async () => {
      for (const k of [1, 2]) {
        const [w1, w2] = [
          [INNER, HIDDEN],
          [HIDDEN, INNER],
        ].map((dims, i) => gaussianTensor(`w${i + 1}`, [EXPERTS, ...dims], 4 + i));
        await check('MoE', ['w1', '', 'w2', ''], [w1, w2], { k }, undefined, change);
      }
    });
    test(`QMoE: of experts ${name} those that the operator chooses`, async () => {
      for (const k of [1, 2])
        for (const shares of ['', 'shares'])
          await check(
            'QMoE',
            ['w1', 'w1_scale', '', 'w2', 'w2_scale', '', '', '', '', '', '', '', shares],
            stacks(4),
            { k, expert_weight_bits: 4 },
            undefined,
            change,
          );
    });
  }

  test('QMoE: of float16 with scales of float32', async () => {
    const halves = ['x', 'router'].map((name) => node('Cast', [name], [`half_${name}`], { to: 10 }));
    const inputs = ['half_x', 'half_router', 'w1', 'w1_scale', '', 'w2', 'w2_scale'];
    const mixture = node('QMoE', inputs, ['half_y'], { k: 2, expert_weight_bits: 8 }, MICROSOFT);
    const proto = model({
      nodes: [...halves, mixture, node('Cast', ['half_y'], ['y'], { to: 1 })],
      initializers: stacks(8),
      inputs: [
        ['x', [TOKENS, HIDDEN]],
        ['router', [TOKENS, EXPERTS]],
      ],
      outputs: [['y', [TOKENS, HIDDEN]]],
    });
    const apart = takenApart(new OnnxModel(clone(ModelProtoSchema, proto))).proto;
    const feeds = [gaussian('x', [TOKENS, HIDDEN], 1), gaussian('router', [TOKENS, EXPERTS], 2)];
    const [expected, found] = [await outputsOf(proto, ...feeds), await outputsOf(apart, ...feeds)];
    const [numbers, own] = [expected, found].map((outputs) => outputs.get('y')?.data as Float32Array);
    assert.ok(numbers.some((value) => value !== 0));
    assertNear(own, numbers, 5e-3, 'float16');
  });

  test('MoE: each weight is parted once, so that its gradient is put together once', () => {
    const proto = model({
      nodes: [node('MoE', ['x', 'router', 'w1', 'b1', 'w2', ''], ['y'], { k: 1 }, MICROSOFT)],
      initializers: [
        ...[floats('w1', [EXPERTS, INNER, HIDDEN]), floats('w2', [EXPERTS, HIDDEN, INNER])],
        floats('b1', [EXPERTS, INNER]),
      ],
      inputs: [['x', [2, HIDDEN]]],
    });
    const nodes = takenApart(new OnnxModel(proto)).proto.graph?.node ?? [];
    for (const weight of ['w1', 'w2', 'b1'])
      assert.deepEqual(
        nodes
          .filter(({ input }) => input.includes(weight))
          .map(({ opType, output }) => [opType, output.length]),
        [['Split', EXPERTS]],
      );
  });

  test('are left where it is not known what they compute, and where they are too many', () => {
    const left = (inputs: string[], attributes: object, experts = EXPERTS) => {
      const stacks = [floats('w1', [experts, INNER, HIDDEN]), floats('w2', [experts, HIDDEN, INNER])];
      const mixture = node('MoE', ['x', 'router', ...inputs], ['y'], { k: 1, ...attributes }, MICROSOFT);
      const proto = model({ nodes: [mixture], initializers: stacks, inputs: [['x', [2, HIDDEN]]] });
      return takenApart(new OnnxModel(proto)).proto.graph?.node.length;
    };
    assert.equal(left(['w1', '', 'w2'], { activation_type: 'tanh' }), 1);
    assert.equal(left(['w1', '', 'w2'], { use_sparse_mixer: 1 }), 1);
    assert.equal(left(['w1', '', 'w2'], { ...SWIGLU, swiglu_fusion: 0 }), 1);
    assert.equal(left(['x', '', 'w2'], {}), 1);
    assert.equal(left(['w1', '', 'w2'], {}, 257), 1);
    assert.ok((left(['w1', '', 'w2'], {}) ?? 0) > 1);
  });
});
