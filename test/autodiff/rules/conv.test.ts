import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONV_RULES } from '../../../src/autodiff/rules/conv.ts';
import { checkRule, describeRules, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';

const x = (...shape: number[]) => ({ shape });
const fixed = (...shape: number[]) => ({ shape, fixed: true });

const CONVS: readonly Omit<RuleCase, 'operator'>[] = [
  { name: 'plain', inputs: [x(2, 4, 5, 6), fixed(3, 4, 3, 2), fixed(3)] },
  {
    name: 'padded',
    inputs: [x(2, 4, 7, 6), fixed(3, 4, 3, 3), fixed(3)],
    attributes: { pads: [1, 1, 1, 1] },
  },
  { name: '1 by 1', inputs: [x(2, 4, 5, 6), fixed(3, 4, 1, 1), fixed(3)] },
  { name: '1 by 1, strided', inputs: [x(2, 4, 8, 7), fixed(3, 4, 1, 1)], attributes: { strides: [2, 3] } },
  {
    name: '1 by 1, padded and strided',
    inputs: [x(2, 4, 8, 7), fixed(3, 4, 1, 1)],
    attributes: { strides: [2, 2], pads: [0, 1, 2, 1] },
  },
  { name: '1 by 1, grouped', inputs: [x(2, 4, 5, 6), fixed(6, 2, 1, 1)], attributes: { group: 2 } },
  {
    name: '1 by 1, grouped and strided',
    inputs: [x(2, 4, 5, 6), fixed(6, 2, 1, 1)],
    attributes: { group: 2, strides: [2, 2] },
  },
  {
    name: 'many channels',
    inputs: [x(2, 8, 5, 4), fixed(3, 8, 3, 3)],
    attributes: { pads: [1, 1, 1, 1] },
  },
  {
    name: 'many channels, strided, dilated, padded unevenly',
    inputs: [x(2, 8, 9, 8), fixed(3, 8, 3, 2)],
    attributes: { strides: [2, 3], dilations: [1, 2], pads: [1, 0, 2, 1] },
  },
  {
    name: 'many channels, grouped, strided',
    inputs: [x(2, 16, 6, 5), fixed(4, 8, 3, 3)],
    attributes: { group: 2, strides: [2, 1], pads: [1, 1, 1, 1] },
  },
  { name: 'a large kernel', inputs: [x(2, 8, 7, 6), fixed(2, 8, 5, 4)], attributes: { pads: [2, 2, 2, 2] } },
  {
    name: 'strided, padded unevenly',
    inputs: [x(2, 3, 8, 9), fixed(4, 3, 3, 3), fixed(4)],
    attributes: { strides: [2, 2], pads: [1, 0, 1, 2] },
  },
  {
    name: 'strides above the kernel',
    inputs: [x(2, 3, 9, 11), fixed(4, 3, 2, 2)],
    attributes: { strides: [3, 4] },
  },
  {
    name: 'dilated and strided',
    inputs: [x(2, 3, 9, 10), fixed(4, 3, 3, 2)],
    attributes: { strides: [2, 3], dilations: [2, 1], pads: [2, 1, 0, 1] },
  },
  {
    name: 'grouped, strided',
    inputs: [x(2, 4, 8, 7), fixed(6, 2, 3, 3), fixed(6)],
    attributes: { group: 2, strides: [2, 2], pads: [1, 0, 1, 2] },
  },
  {
    name: 'grouped, dilated',
    inputs: [x(2, 6, 7, 8), fixed(4, 3, 4, 4)],
    attributes: { group: 2, dilations: [2, 1], pads: [1, 1, 1, 1] },
  },
  {
    name: 'depthwise',
    inputs: [x(2, 4, 6, 5), fixed(4, 1, 3, 3), fixed(4)],
    attributes: { group: 4, pads: [1, 1, 1, 1] },
  },
  {
    name: 'depthwise, dilated',
    inputs: [x(2, 4, 9, 8), fixed(4, 1, 3, 2)],
    attributes: { group: 4, dilations: [2, 3], pads: [2, 1, 0, 1] },
  },
  {
    name: 'depthwise with a multiplier, strided, dilated',
    inputs: [x(2, 4, 9, 8), fixed(8, 1, 3, 3)],
    attributes: { group: 4, strides: [2, 3], dilations: [2, 1], pads: [2, 1, 2, 1] },
  },
  {
    name: '1-D',
    inputs: [x(2, 3, 11), fixed(4, 3, 5), fixed(4)],
    attributes: { strides: [3], pads: [2, 1] },
  },
  { name: '1-D, depthwise', inputs: [x(2, 3, 11), fixed(3, 1, 4)], attributes: { group: 3, pads: [1, 2] } },
  { name: '1-D, many channels', inputs: [x(2, 8, 11), fixed(3, 8, 3)], attributes: { strides: [2] } },
  {
    name: '3-D',
    inputs: [x(2, 2, 5, 4, 6), fixed(3, 2, 2, 3, 2), fixed(3)],
    attributes: { strides: [1, 2, 2], pads: [0, 1, 0, 1, 0, 1] },
  },
  {
    name: '3-D, many channels',
    inputs: [x(2, 8, 4, 3, 4), fixed(2, 8, 2, 2, 2)],
    attributes: { dilations: [2, 1, 1], pads: [0, 1, 0, 1, 0, 1] },
  },
  {
    name: 'auto_pad VALID',
    inputs: [x(2, 3, 6, 7), fixed(4, 3, 3, 3)],
    attributes: { auto_pad: 'VALID', strides: [2, 2] },
  },
  ...['SAME_UPPER', 'SAME_LOWER'].map((mode) => ({
    name: `auto_pad ${mode}`,
    inputs: [x(2, 3, 6, 7), fixed(4, 3, 4, 2)],
    attributes: { auto_pad: mode },
  })),
];

const PADS_UNKNOWN = 'the pads follow from sizes that are unknown; see the test at the end';

const FITTED: readonly Omit<RuleCase, 'operator'>[] = ['SAME_UPPER', 'SAME_LOWER'].flatMap((mode) => [
  {
    name: `auto_pad ${mode}, strided`,
    inputs: [x(2, 3, 7, 8), fixed(4, 3, 3, 3)],
    attributes: { auto_pad: mode, strides: [2, 2] },
    skips: { ranks: PADS_UNKNOWN },
  },
  {
    name: `auto_pad ${mode}, strides above the kernel`,
    inputs: [x(2, 3, 9, 8), fixed(4, 3, 1, 2)],
    attributes: { auto_pad: mode, strides: [3, 3] },
    skips: { ranks: PADS_UNKNOWN },
  },
]);

const FIXED_CHANNELS = 'the number of channels cannot grow';

/** Kernels that the model computes. */
const COMPUTED: readonly RuleCase[] = [
  { operator: 'Conv', name: 'by a kernel of unknown shape', inputs: [x(2, 8, 5, 6), x(3, 8, 3, 2)] },
  {
    operator: 'Conv',
    name: 'by a kernel of unknown shape, grouped, strided, dilated',
    inputs: [x(2, 4, 9, 8), x(6, 2, 2, 3)],
    attributes: { group: 2, strides: [3, 2], dilations: [2, 1], pads: [1, 0, 1, 2] },
    skips: { batch: FIXED_CHANNELS },
  },
  {
    operator: 'ConvTranspose',
    name: 'by a kernel of unknown shape, grouped, strided, dilated',
    inputs: [x(2, 4, 5, 6), x(4, 3, 2, 3)],
    attributes: { group: 2, strides: [3, 2], dilations: [2, 1], pads: [1, 0, 1, 2] },
    skips: { batch: FIXED_CHANNELS },
  },
];

const TRANSPOSES: readonly Omit<RuleCase, 'operator'>[] = [
  { name: 'plain', inputs: [x(2, 4, 5, 6), fixed(4, 3, 3, 2), fixed(3)] },
  {
    name: 'doubling',
    inputs: [x(2, 4, 3, 4), fixed(4, 3, 2, 2), fixed(3)],
    attributes: { strides: [2, 2] },
  },
  {
    name: 'strided, with output padding',
    inputs: [x(2, 4, 5, 4), fixed(4, 3, 3, 3), fixed(3)],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
  },
  {
    name: 'strided, with output padding alone',
    inputs: [x(2, 4, 5, 4), fixed(4, 3, 3, 3)],
    attributes: { strides: [2, 3], output_padding: [1, 2] },
  },
  {
    name: 'dilated, padded unevenly',
    inputs: [x(2, 3, 5, 6), fixed(3, 2, 3, 2)],
    attributes: { strides: [2, 3], dilations: [2, 3], pads: [2, 1, 0, 3], output_padding: [1, 2] },
  },
  { name: '1 by 1', inputs: [x(2, 4, 5, 6), fixed(4, 3, 1, 1)] },
  {
    name: '1 by 1, strided',
    inputs: [x(2, 4, 3, 4), fixed(4, 3, 1, 1)],
    attributes: { strides: [2, 3], output_padding: [1, 0] },
  },
  {
    name: 'grouped, strided',
    inputs: [x(2, 4, 4, 5), fixed(4, 3, 3, 3), fixed(6)],
    attributes: { group: 2, strides: [2, 2], pads: [1, 0, 1, 1] },
  },
  {
    name: 'depthwise',
    inputs: [x(2, 3, 4, 5), fixed(3, 1, 4, 4)],
    attributes: { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    name: 'many channels',
    inputs: [x(2, 3, 4, 5), fixed(3, 8, 3, 3)],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    name: 'many channels, grouped',
    inputs: [x(2, 4, 4, 5), fixed(4, 8, 2, 3)],
    attributes: { group: 2, strides: [1, 2] },
  },
  {
    name: '1-D',
    inputs: [x(2, 3, 6), fixed(3, 2, 4), fixed(2)],
    attributes: { strides: [2], pads: [1, 1] },
  },
  {
    name: '3-D',
    inputs: [x(2, 2, 3, 2, 3), fixed(2, 3, 2, 2, 3)],
    attributes: { strides: [2, 1, 2], pads: [0, 0, 1, 1, 0, 1] },
  },
  {
    name: 'auto_pad VALID',
    inputs: [x(2, 3, 4, 5), fixed(3, 2, 3, 3)],
    attributes: { strides: [2, 2], auto_pad: 'VALID' },
  },
];

const FITTED_TRANSPOSES: readonly Omit<RuleCase, 'operator'>[] = [
  ...['SAME_UPPER', 'SAME_LOWER'].map((mode) => ({
    name: `auto_pad ${mode}`,
    inputs: [x(2, 3, 4, 5), fixed(3, 2, 4, 3)],
    attributes: { strides: [2, 2], auto_pad: mode },
  })),
  ...['NOTSET', 'SAME_UPPER', 'SAME_LOWER'].map((mode) => ({
    name: `auto_pad ${mode}, output_shape`,
    inputs: [x(2, 3, 4, 5), fixed(3, 2, 4, 3)],
    attributes: { strides: [2, 2], auto_pad: mode, output_shape: [7, 10] },
  })),
].map((at) => ({ ...at, skips: { ranks: PADS_UNKNOWN } }));

const as = (operator: string) => (at: Omit<RuleCase, 'operator'>) => ({ operator, ...at });

const CASES: readonly RuleCase[] = [
  ...[...CONVS, ...FITTED].map(as('Conv')),
  ...[...TRANSPOSES, ...FITTED_TRANSPOSES].map(as('ConvTranspose')),
  ...COMPUTED,
];

describeRules('rules of convolutions', CONV_RULES, CASES);
describeSecondOrder('second derivatives of convolutions', CASES);

describe('rules of convolutions, what has no gradient', () => {
  test('pads that follow from unknown sizes', async () => {
    const inputs = [x(2, 3, 6, 6), fixed(3, 3, 3, 3)];
    const cases: [string, RuleCase['attributes']][] = [
      ['Conv', { auto_pad: 'SAME_UPPER', strides: [2, 2] }],
      ['ConvTranspose', { auto_pad: 'SAME_LOWER', strides: [2, 2] }],
      ['ConvTranspose', { output_shape: [8, 8] }],
    ];
    for (const [operator, attributes = {}] of cases) {
      const at = { operator, inputs, attributes };
      await assert.rejects(checkRule(CONV_RULES, at, 'ranks'), /supported where the .*sizes .*are fixed/);
    }
  });
});
