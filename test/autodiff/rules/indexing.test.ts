import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { INDEXING_RULES } from '../../../src/autodiff/rules/indexing.ts';
import { checkRule, describeRules, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';
import { withoutConstants } from './hidden-constants.ts';

const x = (...shape: number[]) => ({ shape });
const fixed = (...shape: number[]) => ({ shape, fixed: true });
const i = (dims: number[], ...integers: number[]) => ({ integers, dims });
const SHARED_BATCH = 'the batch axis of the indices cannot grow';

const GATHERS: RuleCase[] = [
  { operator: 'Gather', name: 'from a table, one row twice', inputs: [fixed(5, 3), i([3], 1, 1, 4)] },
  { operator: 'Gather', name: 'by a matrix', inputs: [fixed(5, 3), i([2, 3], 1, 0, 4, 4, 4, -1)] },
  {
    operator: 'Gather',
    name: 'in the middle',
    inputs: [x(2, 5, 3), i([2, 2], 3, 0, -2, 3)],
    attributes: { axis: 1 },
  },
  { operator: 'Gather', name: 'one', inputs: [x(2, 5, 3), i([], 3)], attributes: { axis: 1 } },
  { operator: 'Gather', name: 'one from behind', inputs: [x(2, 5, 3), i([], -1)], attributes: { axis: -1 } },
  { operator: 'Gather', name: 'one in a vector', inputs: [x(2, 5, 3), i([1], -5)], attributes: { axis: 1 } },
  { operator: 'Gather', name: 'one in a matrix', inputs: [x(2, 5), i([1, 1], 2)], attributes: { axis: 1 } },
  { operator: 'Gather', name: 'one sample', inputs: [x(2, 3), i([], 1)] },
  { operator: 'Gather', name: 'from a vector', inputs: [fixed(4), i([], 2)] },
];

const OTHERS: RuleCase[] = [
  {
    operator: 'GatherElements',
    inputs: [x(3, 4), i([3, 3], 1, 1, 3, 0, 0, 0, -1, 2, 3)],
    attributes: { axis: 1 },
  },
  {
    operator: 'GatherElements',
    name: 'axis 0, fewer columns',
    inputs: [x(3, 4), i([2, 3], 1, 1, 2, 0, -1, 2)],
  },
  { operator: 'GatherND', name: 'elements, one twice', inputs: [x(3, 4), i([3, 2], 0, 1, 2, 3, 0, 1)] },
  { operator: 'GatherND', name: 'rows', inputs: [x(3, 4, 2), i([2, 2, 1], 0, 1, -1, 0)] },
  {
    operator: 'GatherND',
    name: 'within samples',
    inputs: [x(2, 3, 4), i([2, 1], 1, 2)],
    attributes: { batch_dims: 1 },
    skips: { batch: SHARED_BATCH },
  },
  {
    operator: 'ScatterElements',
    inputs: [x(3, 4), i([3, 2], 1, 3, 0, 2, -1, 1), fixed(3, 2)],
    attributes: { axis: 1 },
  },
  { operator: 'ScatterElements', name: 'axis 0', inputs: [x(3, 4), i([1, 3], 1, 2, 0), fixed(1, 3)] },
  {
    operator: 'ScatterElements',
    name: 'add, one place twice',
    inputs: [x(3, 4), i([2, 3], 1, 1, 3, 0, 0, 0), fixed(2, 3)],
    attributes: { axis: 1, reduction: 'add' },
  },
  { operator: 'ScatterND', name: 'elements', inputs: [x(3, 4), i([2, 2], 0, 1, 2, 3), fixed(2)] },
  { operator: 'ScatterND', name: 'rows', inputs: [x(3, 4, 2), i([2, 1], 2, 0), fixed(2, 4, 2)] },
  {
    operator: 'ScatterND',
    name: 'add, one row twice',
    inputs: [x(3, 4), i([3, 1], 2, 0, 2), fixed(3, 4)],
    attributes: { reduction: 'add' },
  },
  { operator: 'OneHot', inputs: [i([2, 3], 0, 3, -1, 2, 9, 1), i([], 4), fixed(2)] },
  {
    operator: 'OneHot',
    name: 'along the first axis',
    inputs: [i([3], 4, 0, 4), i([1], 5), fixed(2)],
    attributes: { axis: 0 },
  },
  { operator: 'TopK', inputs: [x(2, 7), i([1], 3)], outputs: 2, seeded: [0] },
  {
    operator: 'TopK',
    name: 'smallest, unsorted, in the middle',
    inputs: [x(2, 7, 3), i([1], 3)],
    attributes: { axis: 1, largest: 0, sorted: 0 },
    outputs: 2,
    seeded: [0],
  },
];

describeRules('indexing', INDEXING_RULES, [...GATHERS, ...OTHERS]);
describeSecondOrder('second derivatives of indexing', [...GATHERS, ...OTHERS]);

describeRules(
  'indexing, indices computed by the model',
  withoutConstants(INDEXING_RULES, new Set(['Gather'])),
  GATHERS,
);

describe('indexing, what has no gradient', () => {
  for (const operator of ['ScatterElements', 'ScatterND']) {
    for (const reduction of ['mul', 'min']) {
      test(`${operator} with reduction ${reduction}`, async () => {
        const inputs =
          operator === 'ScatterND' ? [x(3, 4), i([1, 2], 0, 1), x(1)] : [x(3, 4), i([1, 1], 2), x(1, 1)];
        const at: RuleCase = { operator, inputs, attributes: { reduction }, opset: 18 };
        await assert.rejects(checkRule(INDEXING_RULES, at, 'static'), new RegExp(`reduction "${reduction}"`));
      });
    }
  }
});
