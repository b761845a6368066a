import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTIVATION_RULES } from '../../../src/autodiff/rules/activation.ts';
import type { AttributeValue } from '../../../src/graph/messages.ts';
import { describeRules, gradientsAt, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';

const SHAPE = [2, 3, 4];

interface Options {
  readonly avoid?: readonly number[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly opset?: number;
}

/** Numbers from -4 to 4, on both sides of every kink. */
function activation(operator: string, name: string | null, { avoid = [], ...rest }: Options = {}): RuleCase {
  const inputs = [{ shape: SHAPE, from: -4, to: 4, avoid }];
  return { operator, ...(name !== null && { name }), inputs, ...rest };
}

const alpha = (float: number) => ({ attributes: { alpha: { float } } });
const atZero = { avoid: [0] };

const CASES: readonly RuleCase[] = [
  ...['Sigmoid', 'Tanh', 'Softplus', 'Erf'].map((operator) => activation(operator, null)),
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'Softsign'].map((operator) =>
    activation(operator, null, atZero),
  ),
  activation('LeakyRelu', 'of alpha 0.3', { ...atZero, ...alpha(0.3) }),
  activation('LeakyRelu', 'of alpha -0.3', { ...atZero, ...alpha(-0.3) }),
  activation('Elu', 'of alpha 0.3', { ...atZero, ...alpha(0.3) }),
  activation('Celu', 'of alpha 2', { ...atZero, ...alpha(2) }),
  activation('Selu', 'of its own numbers', {
    ...atZero,
    attributes: { alpha: { float: 2 }, gamma: { float: 0.5 } },
  }),
  activation('ThresholdedRelu', null, { avoid: [1] }),
  activation('ThresholdedRelu', 'of alpha 2', { avoid: [2], ...alpha(2) }),
  { operator: 'PRelu', inputs: [{ shape: SHAPE, ...atZero }, { shape: [3, 1] }] },
  { operator: 'PRelu', name: 'of one slope', inputs: [{ shape: SHAPE, ...atZero }, { shape: [1] }] },
  activation('Shrink', null, { avoid: [-0.5, 0.5] }),
  activation('Shrink', 'of its own numbers', {
    avoid: [-2, 2],
    attributes: { lambd: { float: 2 }, bias: { float: 0.3 } },
  }),
  activation('HardSigmoid', null, { avoid: [-2.5, 2.5] }),
  activation('HardSigmoid', 'of its own numbers', {
    avoid: [-0.6, 1.4],
    attributes: { alpha: { float: 0.5 }, beta: { float: 0.3 } },
  }),
  activation('HardSwish', null, { avoid: [-3, 3] }),
  activation('Mish', null, { opset: 18 }),
  activation('Swish', null, { opset: 24 }),
  activation('Swish', 'of alpha 1.7', { opset: 24, ...alpha(1.7) }),
  activation('Gelu', null, { opset: 20 }),
  activation('Gelu', 'by tanh', { opset: 20, attributes: { approximate: 'tanh' } }),
];

describeRules('rules of activations', ACTIVATION_RULES, CASES);
describeSecondOrder('second derivatives of activations', CASES);

test('at 0 the rectifiers have the slope of the left side', async () => {
  const slopeAtZero = async (operator: string) =>
    (await gradientsAt(ACTIVATION_RULES, { operator, inputs: [{ shape: [1] }] }, [[0]]))[0][0];
  assert.equal(await slopeAtZero('Relu'), 0);
  assert.equal(await slopeAtZero('LeakyRelu'), Math.fround(0.01));
  assert.equal(await slopeAtZero('ThresholdedRelu'), 0);
});
