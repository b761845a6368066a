import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REDUCE_RULES } from '../../../src/autodiff/rules/reduce.ts';
import { RULES } from '../../../src/autodiff/rules/registry.ts';
import { checkRule, describeRules, gradientsAt, type RuleCase, type Variable } from '../rule-check.ts';
import { describeSecondOrder, secondOrderAt } from '../second-order-check.ts';

const SHAPE = [2, 3, 4];
const REDUCTIONS: readonly (readonly [string, Omit<Variable, 'shape'>])[] = [
  ['ReduceMean', {}],
  ['ReduceMax', {}],
  ['ReduceMin', {}],
  ['ReduceSumSquare', {}],
  ['ReduceL1', { avoid: [0] }],
  ['ReduceL2', {}],
  ['ReduceLogSum', { from: 0.5, to: 2 }],
  ['ReduceLogSumExp', {}],
];

/** With axes as attribute and as input, kept and not, from the end, and all. */
const reductions: RuleCase[] = REDUCTIONS.flatMap(([operator, range]) => {
  const x: Variable = { shape: SHAPE, ...range };
  return [
    { operator, name: 'over all', inputs: [x] },
    { operator, name: 'to a scalar', inputs: [x], attributes: { keepdims: 0 } },
    { operator, name: 'kept', inputs: [x], attributes: { axes: [1] } },
    { operator, name: 'over two', inputs: [x], attributes: { axes: [-1, 0], keepdims: 0 } },
    {
      operator,
      name: 'by an input',
      inputs: [x, { integers: [-2] }],
      attributes: { keepdims: 0 },
      opset: 18,
    },
  ];
});

const x: Variable = { shape: SHAPE };

const CASES: readonly RuleCase[] = [
  ...reductions,
  { operator: 'ReduceSum', name: 'over all', inputs: [x] },
  { operator: 'ReduceSum', name: 'to a scalar', inputs: [x], attributes: { keepdims: 0 } },
  { operator: 'ReduceSum', name: 'kept', inputs: [x, { integers: [1] }] },
  {
    operator: 'ReduceSum',
    name: 'over two',
    inputs: [x, { integers: [-1, 0] }],
    attributes: { keepdims: 0 },
  },
  {
    operator: 'ReduceSum',
    name: 'over none',
    inputs: [x, { integers: [] }],
    attributes: { keepdims: 0, noop_with_empty_axes: 1 },
  },
  {
    operator: 'ReduceMean',
    name: 'over none',
    inputs: [x],
    attributes: { noop_with_empty_axes: 1 },
    opset: 18,
  },
  ...['Softmax', 'LogSoftmax'].flatMap((operator) => [
    { operator, inputs: [x] },
    { operator, name: 'over the middle', inputs: [x], attributes: { axis: 1 } },
    { operator, name: 'over the batch', inputs: [x], attributes: { axis: -3 } },
  ]),
  { operator: 'CumSum', inputs: [x, { integers: [1], dims: [] }] },
  {
    operator: 'CumSum',
    name: 'exclusive, from the end',
    inputs: [x, { integers: [-1], dims: [] }],
    attributes: { exclusive: 1, reverse: 1 },
  },
  {
    operator: 'CumSum',
    name: 'exclusive',
    inputs: [x, { integers: [0], dims: [] }],
    attributes: { exclusive: 1 },
  },
];

describeRules('rules of reductions', REDUCE_RULES, CASES);
describeSecondOrder('second derivatives of reductions', CASES);

const row: Variable = { shape: [1, 3] };
const attributes = { axes: [1] };

test('ReduceMax and ReduceMin give equal numbers equal parts', async () => {
  const gradients = (operator: string) =>
    gradientsAt(REDUCE_RULES, { operator, inputs: [row], attributes }, [[2, 1, 2]]);
  assert.deepEqual(await gradients('ReduceMax'), [[0.5, 0, 0.5]]);
  assert.deepEqual(await gradients('ReduceMin'), [[0, 1, 0]]);
});

test('the gradient of a norm is 0 at 0', async () => {
  const at: RuleCase = { operator: 'ReduceL2', inputs: [row], attributes };
  assert.deepEqual(await gradientsAt(REDUCE_RULES, at, [[0, 0, 0]]), [[0, 0, 0]]);
});

test('the second derivatives of a norm are 0 at 0, and elsewhere what they are', async () => {
  const at: RuleCase = { operator: 'ReduceL2', inputs: [{ shape: [2, 3] }], attributes };
  const [gradient, output] = await secondOrderAt(RULES, at, [[0, 0, 0, 1, 2, 2]]);
  assert.deepEqual([...gradient.slice(0, 3), output[0]], [0, 0, 0, 0]);
  const others = [...gradient.slice(3), output[1]];
  assert.ok(
    others.every((number) => Number.isFinite(number) && number !== 0),
    `${others}`,
  );
});

test('a reduction of each number on its own is refused', async () => {
  const noop = { noop_with_empty_axes: 1 };
  const at: RuleCase = { operator: 'ReduceL1', inputs: [row], attributes: noop, opset: 18 };
  await assert.rejects(checkRule(REDUCE_RULES, at, 'static'), /has noop_with_empty_axes and no axes/);
});
