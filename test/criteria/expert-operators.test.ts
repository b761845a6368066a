import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import type { WeightCriterion } from '../../src/recipe/criteria.ts';
import { type AttributeValue, type GraphParts, integers, node, tensor } from '../models/build-model.ts';
import { quantizedStack, type Stack } from '../models/expert-stacks.ts';
import { gradientContext } from '../models/perceptron.ts';
import { bytesOf } from '../models/quantized-models.ts';
import {
  assertScores,
  gaussians,
  gaussianTensor,
  smallModel,
  smallModelContext,
} from '../models/small-model.ts';
import { MICROSOFT } from '../models/traced-model.ts';
import { criterionContext, scoresOf } from './run-criterion.ts';

const [N, EXPERTS, WIDTH, HIDDEN, CLASSES] = [12, 3, 32, 16, 3];
const x = gaussians(N * WIDTH, 1);
const labels = BigInt64Array.from({ length: N }, (_, n) => BigInt((n * 5) % CLASSES));
const STACKS: Stack[] = [
  ['w1', HIDDEN, WIDTH],
  ['w2', WIDTH, HIDDEN],
];
const router = gaussianTensor('g', [WIDTH, EXPERTS], 2);
const biases = [gaussianTensor('b1', [EXPERTS, HIDDEN], 3), gaussianTensor('b2', [EXPERTS, WIDTH], 4)];
const floats = STACKS.map(([name, ...own], i) => gaussianTensor(name, [EXPERTS, ...own], 5 + i));
const head = gaussianTensor('head', [WIDTH, CLASSES], 7);
const ATTRIBUTES = { k: 2, activation_type: 'relu', normalize_routing_weights: 1 };

const fused = (
  operator: string,
  inputs: string[],
  weights: TensorProto[],
  attributes: Record<string, AttributeValue> = {},
): GraphParts => ({
  nodes: [
    node('MatMul', ['x', 'g'], ['logits']),
    node(operator, ['x', 'logits', ...inputs], ['m'], { ...ATTRIBUTES, ...attributes }, MICROSOFT),
    node('MatMul', ['m', 'head'], ['y']),
  ],
  initializers: [router, ...biases, ...weights, head],
  outputs: ['y'],
});

/** The same in standard operators. */
const apart: GraphParts = {
  nodes: [
    node('MatMul', ['x', 'g'], ['logits']),
    node('TopK', ['logits', 'two'], ['top', 'index']),
    ...['w1', 'b1', 'w2', 'b2'].map((name) => node('Gather', [name, 'index'], [`own_${name}`])),
    node('Einsum', ['x', 'own_w1'], ['h'], { equation: 'ni,nkhi->nkh' }),
    node('Add', ['h', 'own_b1'], ['hb']),
    node('Relu', ['hb'], ['r']),
    node('Einsum', ['r', 'own_w2'], ['o'], { equation: 'nkh,nkoh->nko' }),
    node('Add', ['o', 'own_b2'], ['ob']),
    node('Softmax', ['top'], ['shares'], { axis: -1 }),
    node('Unsqueeze', ['shares', 'last'], ['s']),
    node('Mul', ['ob', 's'], ['weighted']),
    node('ReduceSum', ['weighted', 'first'], ['m'], { keepdims: 0 }),
    node('MatMul', ['m', 'head'], ['y']),
  ],
  initializers: [
    ...[router, ...biases, ...floats, head],
    ...[integers('two', [2]), integers('last', [-1])],
    integers('first', [1]),
  ],
  outputs: ['y'],
};

const GRADIENTS: ReadonlySet<WeightCriterion> = new Set(['taylor', 'saliency']);
const MOE = ['w1', 'b1', 'w2', 'b2'];
const small = { xShape: [N, WIDTH], x };

async function scores(t: TestContext, criterion: WeightCriterion, parts: GraphParts) {
  const names = ['w1', 'w2'];
  if (!GRADIENTS.has(criterion))
    return await scoresOf(criterion, await smallModelContext(t, { ...small, ...parts }), names);
  const proto = smallModel({ ...small, ...parts });
  const { model, scratchDirectory, samples } = await gradientContext(
    t,
    proto,
    { shape: [N, WIDTH], data: x },
    { shape: [N], data: labels },
  );
  return await scoresOf(criterion, criterionContext(model, scratchDirectory, samples), names);
}

describe('experts of one operator are scored', () => {
  for (const criterion of ['wanda', 'activation', 'taylor', 'saliency'] as const)
    test(`by ${criterion} as those of standard operators`, async (t) => {
      const [found, expected] = [
        await scores(t, criterion, fused('MoE', MOE, floats)),
        await scores(t, criterion, apart),
      ];
      // Gradients that nearly cancel have few digits.
      const tolerance = GRADIENTS.has(criterion) ? 1e-3 : 1e-5;
      for (const [name, numbers] of expected) assertScores(found.get(name), [...numbers], tolerance);
    });

  test('by wanda as if one that no sample reached got what the others get, which is told', async (t) => {
    const { nodes = [], initializers = [], ...rest } = fused('MoE', MOE, floats);
    const never = tensor('never', [EXPERTS], Float32Array.of(0, -1e6, 0));
    const barred = nodes.map((each) =>
      each.opType === 'MoE' ? node('MoE', ['x', 'barred', ...MOE], ['m'], ATTRIBUTES, MICROSOFT) : each,
    );
    const parts = {
      ...rest,
      nodes: [...barred.toSpliced(1, 0, node('Add', ['logits', 'never'], ['barred']))],
      initializers: [...initializers, never],
    };
    const told: [string, number][] = [];
    const context = await smallModelContext(t, { ...small, ...parts });
    const found = await scoresOf(
      'wanda',
      { ...context, onUnreached: (...unreached) => told.push(unreached) },
      ['w1', 'w2'],
    );
    assert.deepEqual(told, [
      ['w1', 1 / EXPERTS],
      ['w2', 1 / EXPERTS],
    ]);
    for (const numbers of found.values()) assert.ok(numbers.every((score) => score > 0));
  });

  const FORMS = [
    [4, 0, true],
    [4, 16, true],
    [8, 16, false],
  ] as const;
  for (const [bits, block, hasZeroPoints] of FORMS)
    for (const criterion of ['wanda', 'activation'] as const)
      test(`by ${criterion} where they are stored in ${bits} bits${block ? `, in blocks of ${block}` : ''}`, async (t) => {
        const stacks = STACKS.map((stack) => quantizedStack(stack, bits, block, hasZeroPoints));
        const zeros = hasZeroPoints ? ['', '', '', 'w1_zero', 'w2_zero'] : [];
        const inputs = ['w1', 'w1_scale', 'b1', 'w2', 'w2_scale', 'b2', ...zeros];
        const own = { expert_weight_bits: bits, ...(block && { block_size: block }) };
        const quantized = stacks.flatMap(({ initializers }) => initializers);
        const dense = stacks.map(({ name, dims, initializers, dequantize }) =>
          tensor(name, dims, dequantize(bytesOf(initializers[0]))),
        );
        const [found, expected] = [
          await scores(t, criterion, fused('QMoE', inputs, quantized, own)),
          await scores(t, criterion, fused('MoE', MOE, dense)),
        ];
        for (const [name, numbers] of expected) assertScores(found.get(name), [...numbers], 1e-4);
      });
});
