import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { POOL_RULES } from '../../../src/autodiff/rules/pool.ts';
import { checkRule, describeRules, gradientsAt, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';

/** Numbers so far apart that a step never makes another one the largest. */
const x = (...shape: number[]) => ({ shape, from: -9, to: 9 });

/** Windows of both pools. */
const WINDOWS: readonly Omit<RuleCase, 'operator'>[] = [
  { name: 'of 2 by 3', inputs: [x(2, 3, 6, 7)], attributes: { kernel_shape: [2, 3] } },
  { name: 'tiling', inputs: [x(2, 3, 6, 6)], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  {
    name: 'leaving pixels out',
    inputs: [x(2, 3, 8, 7)],
    attributes: { kernel_shape: [2, 1], strides: [3, 2] },
  },
  {
    name: 'overlapping, padded unevenly',
    inputs: [x(2, 3, 7, 6)],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 1, 2] },
  },
  { name: '1-D', inputs: [x(2, 3, 9)], attributes: { kernel_shape: [3], strides: [2] } },
  {
    name: '3-D',
    inputs: [x(2, 2, 4, 5, 3)],
    attributes: { kernel_shape: [2, 2, 3], strides: [1, 2, 1], pads: [0, 1, 1, 0, 0, 1] },
  },
  {
    name: 'auto_pad VALID',
    inputs: [x(2, 3, 5, 5)],
    attributes: { kernel_shape: [2, 2], strides: [2, 2], auto_pad: 'VALID' },
  },
  ...['SAME_UPPER', 'SAME_LOWER'].map((mode) => ({
    name: `auto_pad ${mode}`,
    inputs: [x(2, 3, 5, 6)],
    attributes: { kernel_shape: [2, 4], auto_pad: mode },
  })),
];

const UNKNOWN_SIZES = 'the pads follow from sizes that are unknown; see the test at the end';

/** Windows whose place follows from the image's size. */
const FITTED: readonly Omit<RuleCase, 'operator'>[] = [
  ...['SAME_UPPER', 'SAME_LOWER'].map((mode) => ({
    name: `auto_pad ${mode} with strides`,
    inputs: [x(2, 3, 8, 9)],
    attributes: { kernel_shape: [3, 4], strides: [2, 3], auto_pad: mode },
  })),
  {
    name: 'ceil_mode, reaching beyond the image',
    inputs: [x(2, 3, 8, 6)],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
  },
  {
    name: 'ceil_mode, reaching beyond the pads',
    inputs: [x(2, 3, 7, 6)],
    attributes: { kernel_shape: [3, 4], strides: [3, 3], pads: [1, 1, 0, 1], ceil_mode: 1 },
  },
];

const AVERAGES: RuleCase[] = [
  {
    operator: 'AveragePool',
    name: 'count_include_pad',
    inputs: [x(2, 3, 7, 8)],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 },
  },
  {
    operator: 'AveragePool',
    name: 'dilated',
    inputs: [x(2, 3, 8, 9)],
    attributes: { kernel_shape: [3, 2], strides: [1, 2], dilations: [2, 3], pads: [1, 1, 0, 1] },
    opset: 19,
  },
  {
    operator: 'AveragePool',
    name: 'ceil_mode without effect, count_include_pad',
    inputs: [x(2, 3, 7, 7)],
    attributes: {
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      ceil_mode: 1,
      count_include_pad: 1,
    },
    skips: { ranks: UNKNOWN_SIZES },
  },
];

const CASES: readonly RuleCase[] = [
  ...[...WINDOWS, ...FITTED].map((window) => ({ operator: 'MaxPool', ...window })),
  {
    operator: 'MaxPool',
    name: 'dilated',
    inputs: [x(2, 3, 8, 9)],
    attributes: { kernel_shape: [3, 2], strides: [1, 2], dilations: [2, 3], pads: [1, 1, 0, 1] },
  },
  {
    operator: 'MaxPool',
    name: 'with its second output',
    inputs: [x(2, 3, 6, 7)],
    attributes: { kernel_shape: [2, 3] },
    outputs: 2,
    seeded: [0],
  },
  ...WINDOWS.map((window) => ({ operator: 'AveragePool', ...window })),
  ...FITTED.map((window) => ({ operator: 'AveragePool', ...window, skips: { ranks: UNKNOWN_SIZES } })),
  ...AVERAGES,
  ...['GlobalAveragePool', 'GlobalMaxPool'].flatMap((operator) => [
    { operator, inputs: [x(2, 3, 4, 5)] },
    { operator, name: '1-D', inputs: [x(2, 3, 4)] },
    { operator, name: '3-D', inputs: [x(2, 3, 2, 3, 2)] },
  ]),
];

describeRules('rules of pools', POOL_RULES, CASES);
describeSecondOrder('second derivatives of pools', CASES);

describe('rules of pools, what has no gradient', () => {
  const image = x(2, 3, 8, 8);
  const window = { kernel_shape: [3, 3], strides: [2, 2] };
  test('an AveragePool whose place is unknown', async () => {
    for (const attributes of [{ auto_pad: 'SAME_UPPER' }, { ceil_mode: 1 }]) {
      const at = { operator: 'AveragePool', inputs: [image], attributes: { ...window, ...attributes } };
      await assert.rejects(checkRule(POOL_RULES, at, 'ranks'), /where the (spatial )?sizes .*are fixed/);
    }
  });
  test('an AveragePool of ceil_mode that counts pads', async () => {
    const attributes = { ...window, ceil_mode: 1, count_include_pad: 1 };
    const at = { operator: 'AveragePool', inputs: [image], attributes };
    await assert.rejects(checkRule(POOL_RULES, at, 'static'), /together with count_include_pad/);
  });
  test('a MaxPool of storage_order 1', async () => {
    const attributes = { ...window, storage_order: 1 };
    const at = { operator: 'MaxPool', inputs: [image], attributes };
    await assert.rejects(checkRule(POOL_RULES, at, 'static'), /storage_order 1/);
  });
});

describe('rules of pools where pixels are equal', () => {
  test('a MaxPool gives all to the first, for every window', async () => {
    const at = { operator: 'MaxPool', inputs: [x(1, 1, 5)], attributes: { kernel_shape: [3] } };
    assert.deepEqual(await gradientsAt(POOL_RULES, at, [[1, 2, 2, 2, 1]]), [[0, 2, 1, 0, 0]]);
  });
  test('a GlobalMaxPool gives each its share', async () => {
    const at = { operator: 'GlobalMaxPool', inputs: [x(1, 2, 4)] };
    const found = await gradientsAt(POOL_RULES, at, [[3, 1, 3, 2, 0, 0, 0, 0]]);
    assert.deepEqual(found, [[0.5, 0, 0.5, 0, 0.25, 0.25, 0.25, 0.25]]);
  });
});
