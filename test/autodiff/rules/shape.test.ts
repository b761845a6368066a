import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SHAPE_RULES } from '../../../src/autodiff/rules/shape.ts';
import { checkRule, describeRules, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';
import { withoutConstants } from './hidden-constants.ts';

/** What exporters write for "to the end"; it has no float64 of its own. */
const LARGEST_INT64 = 2 ** 63 - 1024;
const FIXED_BATCH = 'the sizes or pads hold for one batch size';

const x = (...shape: number[]) => ({ shape });
const i = (...integers: number[]) => ({ integers });
const scalar = (integer: number) => ({ integers: [integer], dims: [] });

const RESHAPES: RuleCase[] = [
  { operator: 'Reshape', name: 'with -1', inputs: [x(2, 6), i(-1, 2, 3)] },
  { operator: 'Reshape', name: 'with 0', inputs: [x(2, 6, 4), i(0, 3, -1)] },
  { operator: 'Reshape', name: 'batch into another axis', inputs: [x(2, 6), i(3, -1)] },
  { operator: 'Reshape', name: 'to rank 0', inputs: [x(1, 1), i()] },
  {
    operator: 'Reshape',
    name: 'fixed',
    inputs: [x(2, 6), i(2, 2, 3)],
    skips: { batch: FIXED_BATCH },
  },
  { operator: 'Flatten', inputs: [x(2, 3, 4, 5)] },
  { operator: 'Flatten', name: 'axis 0', inputs: [x(2, 3, 4)], attributes: { axis: 0 } },
  { operator: 'Flatten', name: 'axis -1', inputs: [x(2, 3, 4)], attributes: { axis: -1 } },
  { operator: 'Squeeze', inputs: [x(2, 1, 3, 1), i(1)] },
  { operator: 'Squeeze', name: 'two axes from behind', inputs: [x(2, 1, 3, 1), i(-1, -3)] },
  { operator: 'Squeeze', name: 'all axes of size 1', inputs: [x(2, 1, 3, 1)] },
  { operator: 'Unsqueeze', inputs: [x(2, 3), i(1)] },
  { operator: 'Unsqueeze', name: 'first and last', inputs: [x(2, 3), i(0, -1)] },
];

const ORDERS: RuleCase[] = [
  { operator: 'Transpose', inputs: [x(2, 3, 4)] },
  { operator: 'Transpose', name: 'a cycle', inputs: [x(2, 3, 4)], attributes: { perm: [2, 0, 1] } },
  { operator: 'Transpose', name: 'rank 4', inputs: [x(2, 3, 4, 5)], attributes: { perm: [0, 2, 3, 1] } },
  { operator: 'DepthToSpace', inputs: [x(2, 8, 3, 4)], attributes: { blocksize: 2 } },
  {
    operator: 'DepthToSpace',
    name: 'CRD',
    inputs: [x(2, 12, 3, 4)],
    attributes: { blocksize: 2, mode: 'CRD' },
  },
  {
    operator: 'DepthToSpace',
    name: 'CRD by 3',
    inputs: [x(2, 18, 1, 2)],
    attributes: { blocksize: 3, mode: 'CRD' },
  },
  { operator: 'SpaceToDepth', inputs: [x(2, 3, 4, 6)], attributes: { blocksize: 2 } },
];

const COPIES: RuleCase[] = [
  { operator: 'Expand', inputs: [x(2, 1, 3), i(1, 4, 1)] },
  { operator: 'Expand', name: 'to a larger rank', inputs: [x(2, 3), i(5, 1, 1)] },
  { operator: 'Expand', name: 'of a scalar', inputs: [x(), i(2, 3)] },
  { operator: 'Tile', inputs: [x(2, 3), i(2, 3)] },
  { operator: 'Tile', name: 'rank 4', inputs: [x(2, 3, 1, 2), i(1, 2, 4, 1)] },
  { operator: 'Trilu', inputs: [x(2, 4, 4)] },
  { operator: 'Trilu', name: 'lower', inputs: [x(2, 4, 4)], attributes: { upper: 0 } },
  { operator: 'Trilu', name: 'above the diagonal', inputs: [x(2, 3, 5), scalar(1)] },
  { operator: 'Trilu', name: 'lower from above', inputs: [x(2, 5, 3), scalar(-1)], attributes: { upper: 0 } },
];

const PARTS: RuleCase[] = [
  { operator: 'Concat', inputs: [x(2, 3), x(2, 4), x(2, 1)], attributes: { axis: -1 } },
  { operator: 'Concat', name: 'along the batch', inputs: [x(2, 3), x(3, 3)], attributes: { axis: 0 } },
  { operator: 'Concat', name: 'one input', inputs: [x(2, 3)], attributes: { axis: 1 } },
  {
    operator: 'Concat',
    name: 'with a constant',
    inputs: [x(2, 3), { floats: [1, 2], dims: [2, 1] }],
    attributes: { axis: 1 },
    skips: { batch: FIXED_BATCH },
  },
  { operator: 'Split', inputs: [x(2, 6), i(1, 2, 3)], attributes: { axis: 1 }, outputs: 3 },
  {
    operator: 'Split',
    name: 'evenly from behind',
    inputs: [x(2, 6, 3)],
    attributes: { axis: -2 },
    outputs: 2,
  },
  { operator: 'Split', name: 'axis 0', inputs: [{ shape: [4, 3], fixed: true }], outputs: 2 },
  {
    operator: 'Split',
    name: 'some outputs unused',
    inputs: [x(2, 6), i(1, 2, 3)],
    attributes: { axis: 1 },
    outputs: 3,
    seeded: [1],
  },
  {
    operator: 'Split',
    name: 'num_outputs',
    inputs: [x(2, 7)],
    attributes: { axis: 1, num_outputs: 3 },
    outputs: 3,
    opset: 18,
  },
];

const PADS: RuleCase[] = [
  { operator: 'Pad', inputs: [x(2, 3), i(0, 1, 0, 2)] },
  { operator: 'Pad', name: 'with a value', inputs: [x(2, 3), i(0, 1, 0, 2), { floats: [5], dims: [] }] },
  { operator: 'Pad', name: 'that crops', inputs: [x(2, 5, 6), i(0, -1, 2, 0, -2, -3)] },
  { operator: 'Pad', name: 'of named axes', inputs: [x(2, 3, 4), i(2, -1, 1, 3), null, i(-1, 1)], opset: 18 },
  {
    operator: 'Pad',
    name: 'reflect',
    inputs: [x(2, 3, 4), i(0, 1, 3, 0, 2, 1)],
    attributes: { mode: 'reflect' },
  },
  { operator: 'Pad', name: 'edge', inputs: [x(2, 3, 4), i(0, 1, 3, 0, 2, 1)], attributes: { mode: 'edge' } },
  {
    operator: 'Pad',
    name: 'wrap',
    inputs: [x(2, 3, 4), i(0, 1, 3, 0, 2, 1)],
    attributes: { mode: 'wrap' },
    opset: 19,
  },
  {
    operator: 'Pad',
    name: 'edge of named axes',
    inputs: [x(2, 3, 4), i(1, 2), null, i(2)],
    attributes: { mode: 'edge' },
    opset: 18,
  },
];

const SLICES: RuleCase[] = [
  { operator: 'Slice', inputs: [x(3, 6, 5), i(1, -4), i(3, LARGEST_INT64), i(1, 2)] },
  { operator: 'Slice', name: 'without axes', inputs: [x(3, 6), i(0, 2), i(LARGEST_INT64, 5)] },
  { operator: 'Slice', name: 'the first two', inputs: [x(3, 6), i(0), i(2), i(1)] },
  { operator: 'Slice', name: 'of the batch axis', inputs: [x(3, 6), i(1), i(LARGEST_INT64), i(0), i(1)] },
  { operator: 'Slice', name: 'from behind', inputs: [x(3, 6), i(-3), i(-1), i(-1), i(1)] },
  { operator: 'Slice', name: 'beyond both ends', inputs: [x(3, 6), i(-100), i(4), i(1), i(1)] },
  { operator: 'Slice', name: 'step 2', inputs: [x(3, 7), i(0), i(7), i(1), i(2)] },
  {
    operator: 'Slice',
    name: 'step 3 of two axes',
    inputs: [x(3, 7, 8), i(1, 2), i(6, LARGEST_INT64), i(2, 1), i(3, 2)],
  },
  { operator: 'Slice', name: 'step -1', inputs: [x(3, 5), i(-1), i(-LARGEST_INT64), i(1), i(-1)] },
  { operator: 'Slice', name: 'step -2', inputs: [x(3, 7), i(-2), i(-100), i(1), i(-2)] },
];

const CASES = [...RESHAPES, ...ORDERS, ...COPIES, ...PARTS, ...PADS, ...SLICES];
describeRules('shape', SHAPE_RULES, CASES);
describeSecondOrder('second derivatives of shape', CASES);

const computed = new Set(['Reshape', 'Tile', 'Pad', 'Slice', 'Split']);
describeRules(
  'shape, sizes and bounds computed by the model',
  withoutConstants(SHAPE_RULES, computed),
  CASES.filter(({ operator }) => computed.has(operator)),
);

describe('shape, what has no gradient', () => {
  test('the value of a Pad', async () => {
    const at: RuleCase = { operator: 'Pad', inputs: [x(2, 3), i(0, 1, 0, 2), x()] };
    await assert.rejects(
      checkRule(SHAPE_RULES, at, 'static'),
      /no gradient for the value that is padded with/,
    );
  });
});
