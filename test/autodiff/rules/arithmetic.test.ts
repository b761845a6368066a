import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ARITHMETIC_RULES } from '../../../src/autodiff/rules/arithmetic.ts';
import { checkRule, describeRules, gradientsAt, type RuleCase, type Variable } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';

const SHAPE = [2, 3, 4];
const POSITIVE = { from: 0.5, to: 2 };
const INSIDE = { from: -0.8, to: 0.8 };

function each(operators: readonly string[], options: Omit<Variable, 'shape'> = {}): RuleCase[] {
  return operators.map((operator) => ({ operator, inputs: [{ shape: SHAPE, ...options }] }));
}

/** Both inputs as large, one missing axes in front, one with axes of size 1, both with them, and one of rank 0. */
const BROADCASTS: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ['equal shapes', SHAPE, SHAPE],
  ['a row', SHAPE, [4]],
  ['a smaller left side', [3, 1], SHAPE],
  ['both sides', [2, 1, 4], [1, 3, 1]],
  ['a scalar', SHAPE, []],
];

function binary(operator: string, options: Omit<Variable, 'shape'> = {}): RuleCase[] {
  return BROADCASTS.map(([name, left, right]) => ({
    operator,
    name,
    inputs: [
      { shape: left, ...options },
      { shape: right, ...options },
    ],
  }));
}

function power(name: string, exponent: RuleCase['inputs'][number], base: Variable): RuleCase {
  return { operator: 'Pow', name, inputs: [base, exponent] };
}

const base: Variable = { shape: SHAPE, ...POSITIVE };
const signed: Variable = { shape: SHAPE };

const CASES: readonly RuleCase[] = [
  ...each(['Identity', 'Neg', 'Exp', 'Sin', 'Cos', 'Tan', 'Sinh', 'Cosh', 'Atan', 'Asinh']),
  ...each(['Sqrt', 'Log', 'Reciprocal'], POSITIVE),
  ...each(['Asin', 'Acos', 'Atanh'], INSIDE),
  ...each(['Acosh'], { from: 1.2, to: 3 }),
  ...each(['Abs'], { avoid: [0] }),
  { operator: 'Cast', attributes: { to: 1 }, inputs: [signed] },
  { operator: 'Dropout', inputs: [signed] },
  {
    operator: 'Dropout',
    name: 'with its ratio and mode',
    inputs: [signed, { floats: [0.5], dims: [] }, { booleans: [false], dims: [] }],
    outputs: 2,
    seeded: [0],
  },
  ...['Add', 'Sub', 'Mul', 'Min', 'Max'].flatMap((operator) => binary(operator)),
  ...binary('Div', POSITIVE),
  ...['Sum', 'Mean', 'Min', 'Max'].map((operator) => ({
    operator,
    name: 'of three',
    inputs: [{ shape: SHAPE }, { shape: [3, 1], from: -0.4, to: 0.4 }, { shape: [], from: -0.1, to: 0.1 }],
  })),
  {
    operator: 'Max',
    name: 'with a constant',
    inputs: [
      { shape: SHAPE, avoid: [0.1] },
      { floats: [0.1], dims: [] },
    ],
  },
  {
    operator: 'Where',
    inputs: [{ booleans: [true, false, false, true] }, { shape: SHAPE }, { shape: [3, 1] }],
  },
  {
    operator: 'Where',
    name: 'of a larger condition',
    inputs: [
      { booleans: [true, false, true, false, false, true], dims: [2, 3, 1] },
      { shape: [4], fixed: true },
      { shape: [] },
    ],
    skips: { batch: 'the condition is a constant' },
  },
  ...[-1, 0.5, 2, 3].map((exponent) => power(`of ${exponent}`, { floats: [exponent], dims: [] }, base)),
  ...[1, 2, 3].map((exponent) => power(`of integer ${exponent}`, { integers: [exponent] }, signed)),
  power('of constants', { floats: [0, 1, 2, 2.5] }, base),
  power('of integers', { integers: [0, 1, 2, 3] }, signed),
  power('of a variable row', { shape: [4] }, base),
  power('of a variable', { shape: [2, 1, 4] }, { shape: [3, 1], ...POSITIVE }),
  {
    operator: 'Clip',
    inputs: [
      { shape: SHAPE, avoid: [-0.5, 0.6] },
      { floats: [-0.5], dims: [] },
      { floats: [0.6], dims: [] },
    ],
  },
  {
    operator: 'Clip',
    name: 'from below',
    inputs: [
      { shape: SHAPE, avoid: [0] },
      { floats: [0], dims: [] },
    ],
  },
  {
    operator: 'Clip',
    name: 'from above',
    inputs: [{ shape: SHAPE, avoid: [0.2] }, null, { floats: [0.2], dims: [] }],
  },
  { operator: 'Clip', name: 'without limits', inputs: [signed] },
  {
    operator: 'Range',
    inputs: [
      { shape: [], from: 0.1, to: 0.3 },
      { floats: [2.6], dims: [] },
      { shape: [], from: 0.42, to: 0.44 },
    ],
  },
  {
    operator: 'Range',
    name: 'of vectors',
    inputs: [{ shape: [1], from: 0.1, to: 0.3 }, { floats: [-2] }, { shape: [1], from: -0.6, to: -0.5 }],
  },
  {
    operator: 'Clip',
    name: 'between variables',
    inputs: [signed, { shape: [], from: -0.8, to: -0.2 }, { shape: [], from: 0.2, to: 0.8 }],
  },
];

describeRules('rules of arithmetic', ARITHMETIC_RULES, CASES);
describeSecondOrder('second derivatives of arithmetic', CASES);

const pair: Variable = { shape: [2], fixed: true };

test('Min and Max give equal inputs equal parts', async () => {
  const numbers = [
    [3, 3],
    [3, 1],
  ];
  const gradients = (operator: string) =>
    gradientsAt(ARITHMETIC_RULES, { operator, inputs: [pair, pair] }, numbers);
  assert.deepEqual(await gradients('Max'), [
    [0.5, 1],
    [0.5, 0],
  ]);
  assert.deepEqual(await gradients('Min'), [
    [0.5, 0],
    [0.5, 1],
  ]);
});

test('Clip has slope 0 at its limits, Abs at 0', async () => {
  const limits = [-1, 1].map((limit) => ({ floats: [limit], dims: [] }));
  const clip: RuleCase = { operator: 'Clip', inputs: [pair, ...limits] };
  assert.deepEqual(await gradientsAt(ARITHMETIC_RULES, clip, [[-1, 1]]), [[0, 0]]);
  assert.deepEqual(await gradientsAt(ARITHMETIC_RULES, { operator: 'Abs', inputs: [pair] }, [[0, -2]]), [
    [0, -1],
  ]);
});

test('Pow stays finite at 0^0 and at 0^2, whose logarithm does not', async () => {
  const base: RuleCase = { operator: 'Pow', inputs: [pair, { floats: [0, 2] }] };
  assert.deepEqual(await gradientsAt(ARITHMETIC_RULES, base, [[0, 0]]), [[0, 0]]);
  const exponent: RuleCase = { operator: 'Pow', inputs: [{ floats: [0, 1] }, pair] };
  assert.deepEqual(await gradientsAt(ARITHMETIC_RULES, exponent, [[2, 2]]), [[0, 0]]);
});

test('Dropout in training mode is refused', async () => {
  const mode = { booleans: [true], dims: [] };
  const at: RuleCase = { operator: 'Dropout', inputs: [pair, { floats: [0.5], dims: [] }, mode] };
  await assert.rejects(checkRule(ARITHMETIC_RULES, at, 'static'), /drops numbers by chance/);
});
