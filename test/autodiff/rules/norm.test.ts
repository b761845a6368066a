import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NORM_RULES } from '../../../src/autodiff/rules/norm.ts';
import { RULES } from '../../../src/autodiff/rules/registry.ts';
import { checkRule, describeRules, gradientsAt, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder, secondOrderAt } from '../second-order-check.ts';

const x = (...shape: number[]) => ({ shape });
const fixed = (...shape: number[]) => ({ shape, fixed: true });
const variance = (channels: number) => ({ shape: [channels], fixed: true, from: 0.5, to: 2 });
const batchNorm = (...shape: number[]) => {
  const channels = shape[1];
  return [x(...shape), fixed(channels), fixed(channels), fixed(channels), variance(channels)];
};

const CASES: readonly RuleCase[] = [
  { operator: 'BatchNormalization', inputs: batchNorm(3, 4, 5, 2) },
  { operator: 'BatchNormalization', name: '1-D', inputs: batchNorm(3, 4, 5) },
  { operator: 'BatchNormalization', name: 'without pixels', inputs: batchNorm(3, 4) },
  {
    operator: 'BatchNormalization',
    name: '3-D, large epsilon',
    inputs: batchNorm(2, 3, 2, 3, 2),
    attributes: { epsilon: { float: 0.3 } },
  },
  { operator: 'LayerNormalization', inputs: [x(2, 3, 5), fixed(5), fixed(5)], opset: 17 },
  { operator: 'LayerNormalization', name: 'no bias', inputs: [x(2, 3, 5), fixed(5)], opset: 17 },
  {
    operator: 'LayerNormalization',
    name: 'over two axes',
    inputs: [x(2, 3, 5), fixed(3, 5), fixed(3, 5)],
    attributes: { axis: 1, epsilon: { float: 0.1 } },
    opset: 17,
  },
  {
    operator: 'LayerNormalization',
    name: 'over two axes from behind',
    inputs: [x(2, 3, 4, 5), fixed(4, 5), fixed(4, 5)],
    attributes: { axis: -2 },
    opset: 18,
  },
  { operator: 'RMSNormalization', inputs: [x(2, 3, 5), fixed(5)], opset: 23 },
  {
    operator: 'RMSNormalization',
    name: 'over two axes, large epsilon',
    inputs: [x(2, 3, 5), fixed(3, 5)],
    attributes: { axis: 1, epsilon: { float: 0.1 } },
    opset: 23,
  },
  {
    operator: 'RMSNormalization',
    name: 'of one scale',
    inputs: [x(2, 3, 5), fixed(1)],
    attributes: { axis: -2 },
    opset: 24,
  },
  { operator: 'SimplifiedLayerNormalization', inputs: [x(2, 3, 5), fixed(5)] },
  { operator: 'InstanceNormalization', inputs: [x(2, 3, 4, 5), fixed(3), fixed(3)] },
  {
    operator: 'InstanceNormalization',
    name: '1-D, large epsilon',
    inputs: [x(2, 3, 7), fixed(3), fixed(3)],
    attributes: { epsilon: { float: 0.2 } },
  },
  {
    operator: 'GroupNormalization',
    name: 'scaled by group',
    inputs: [x(2, 6, 4, 3), fixed(2), fixed(2)],
    attributes: { num_groups: 2 },
    opset: 18,
  },
  {
    operator: 'GroupNormalization',
    name: 'scaled by channel',
    inputs: [x(2, 6, 4, 3), fixed(6), fixed(6)],
    attributes: { num_groups: 3, epsilon: { float: 0.1 } },
    opset: 21,
  },
  { operator: 'LpNormalization', inputs: [x(3, 4)] },
  { operator: 'LpNormalization', name: 'in the middle', inputs: [x(3, 4, 2)], attributes: { axis: 1 } },
  {
    operator: 'LpNormalization',
    name: 'p 1',
    inputs: [{ shape: [3, 4], avoid: [0] }],
    attributes: { p: 1, axis: 1 },
  },
];

describeRules('rules of normalization', NORM_RULES, CASES);
describeSecondOrder('second derivatives of normalization', CASES);

describe('rules of normalization, what has no gradient', () => {
  test('a BatchNormalization in training mode', async () => {
    const at: RuleCase = {
      operator: 'BatchNormalization',
      inputs: batchNorm(3, 4, 5),
      attributes: { training_mode: 1 },
      outputs: 3,
      seeded: [0],
    };
    await assert.rejects(checkRule(NORM_RULES, at, 'static'), /training_mode 1 is not supported/);
  });
  test('a scalar that depends on the deviations of a LayerNormalization', async () => {
    const inputs = [x(2, 3, 5), fixed(5), fixed(5)];
    const at: RuleCase = { operator: 'LayerNormalization', inputs, outputs: 3, opset: 17 };
    await assert.rejects(checkRule(NORM_RULES, at, 'static'), /only the first output/);
  });
});

describe('rules of normalization at single points', () => {
  test('zeros, which have no direction, get zeros', async () => {
    const at: RuleCase = { operator: 'LpNormalization', inputs: [x(2, 2)] };
    const [[...gradient]] = await gradientsAt(NORM_RULES, at, [[0, 0, 3, 4]]);
    // With Y = (0.6, 0.8) and dY = (1, 1): (1 - 0.6 * 1.4) / 5 and (1 - 0.8 * 1.4) / 5.
    for (const [index, expected] of [0, 0, 0.032, -0.024].entries()) {
      assert.ok(Math.abs(gradient[index] - expected) < 1e-7, `${gradient}`);
    }
  });

  for (const p of [1, 2]) {
    test(`second derivatives of zeros are zeros, p ${p}`, async () => {
      const at: RuleCase = { operator: 'LpNormalization', inputs: [x(2, 2)], attributes: { p } };
      for (const changes of await secondOrderAt(RULES, at, [[0, 0, 3, 4]])) {
        assert.deepEqual(changes.slice(0, 2), [0, 0]);
        assert.ok(
          changes.slice(2).every((change) => Number.isFinite(change) && change !== 0),
          `${changes}`,
        );
      }
    });
  }
});
