import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RESIZE_RULES } from '../../../src/autodiff/rules/resize.ts';
import type { AttributeValue } from '../../../src/graph/messages.ts';
import { checkRule, describeRules, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';
import { withoutConstants } from './hidden-constants.ts';

const FIXED_BATCH = 'the sizes hold for one batch size';

type Attributes = Readonly<Record<string, AttributeValue>>;

function scaled(
  name: string,
  shape: number[],
  scales: number[],
  attributes: Attributes,
  opset = 16,
): RuleCase {
  return { operator: 'Resize', name, inputs: [{ shape }, null, { floats: scales }], attributes, opset };
}

/** Sizes name the batch's too, so they hold for one; with axes (opset 18) they do not. */
function sized(name: string, shape: number[], sizes: number[], attributes: Attributes, opset = 16): RuleCase {
  const inputs = [{ shape }, null, null, { integers: sizes }];
  const skips = 'axes' in attributes ? {} : { batch: FIXED_BATCH };
  return { operator: 'Resize', name, inputs, attributes, opset, skips };
}

const coordinates = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'];
const transformations = ['nearest', 'linear', 'cubic'].flatMap((mode) =>
  coordinates.flatMap((coordinate_transformation_mode) => {
    const attributes = { mode, coordinate_transformation_mode };
    const title = `${mode} ${coordinate_transformation_mode}`;
    return [
      sized(`${title} to sizes`, [2, 3, 4, 5], [2, 3, 7, 9], attributes),
      scaled(`${title} smaller`, [2, 3, 7, 9], [1, 1, 0.5, 0.6], attributes),
    ];
  }),
);
const rounding = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((nearest_mode) =>
  scaled(`nearest ${nearest_mode}`, [2, 3, 4, 5], [1, 1, 1.5, 2.5], { mode: 'nearest', nearest_mode }),
);

const CASES: RuleCase[] = [
  ...transformations,
  ...rounding,
  scaled('as Upsample was', [2, 3, 4, 4], [1, 1, 2, 2], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  }),
  scaled('one axis', [2, 3, 4, 5], [1, 1, 1, 2], { mode: 'linear' }),
  scaled('no axis', [2, 3, 4, 5], [1, 1, 1, 1], { mode: 'linear' }),
  scaled('channels', [2, 3, 4, 5], [1, 2, 1, 3], { mode: 'nearest' }),
  scaled('rank 5', [2, 2, 3, 4, 2], [1, 1, 2, 1.5, 2], { mode: 'linear' }),
  {
    operator: 'Resize',
    name: 'rank 2',
    inputs: [{ shape: [2, 3], fixed: true }, null, { floats: [2, 3] }],
    attributes: { mode: 'linear' },
  },
  scaled('rank 3', [2, 3, 4], [1, 1, 2], { mode: 'nearest' }),
  scaled('cubic, other coefficient', [2, 3, 4, 5], [1, 1, 2, 2], {
    mode: 'cubic',
    cubic_coeff_a: { float: -0.5 },
  }),
  scaled('cubic, outside left out', [2, 3, 4, 5], [1, 1, 2, 2], { mode: 'cubic', exclude_outside: 1 }),
  scaled(
    'half_pixel_symmetric',
    [2, 3, 7, 9],
    [1, 1, 0.5, 0.6],
    { mode: 'linear', coordinate_transformation_mode: 'half_pixel_symmetric' },
    19,
  ),
  scaled('linear without aliases', [2, 3, 8, 9], [1, 1, 0.5, 0.4], { mode: 'linear', antialias: 1 }, 18),
  scaled('cubic without aliases', [2, 3, 8, 9], [1, 1, 0.5, 0.4], { mode: 'cubic', antialias: 1 }, 18),
  scaled('named axes in another order', [2, 2, 3, 4, 2], [1.5, 2], { mode: 'nearest', axes: [3, 2] }, 18),
  sized('two named axes', [2, 3, 4, 5], [9, 7], { mode: 'linear', axes: [-1, 2] }, 18),
  ...['half_pixel', 'align_corners', 'asymmetric'].flatMap((coordinate_transformation_mode) =>
    ['nearest', 'linear', 'cubic'].map((mode) =>
      scaled(
        `${mode} ${coordinate_transformation_mode} of an axis that keeps its size`,
        [2, 3, 4, 5],
        [1, 1, 1.2, 1.5],
        { mode, coordinate_transformation_mode },
      ),
    ),
  ),
  scaled('the last axis keeps its size', [2, 3, 4, 5], [1, 1, 2, 1.1], { mode: 'linear' }),
  scaled(
    'antialias, an axis keeps its size',
    [2, 3, 8, 9],
    [1, 1, 1.1, 0.5],
    { mode: 'linear', antialias: 1 },
    18,
  ),
  scaled('no axis changes its size', [2, 3, 4, 5], [1, 1, 1.2, 1.1], { mode: 'linear' }),
];

describeRules('resize', RESIZE_RULES, CASES);
describeSecondOrder('second derivatives of resize', CASES);

describeRules(
  'resize, scales and sizes computed by the model',
  withoutConstants(RESIZE_RULES, new Set(['Resize'])),
  CASES,
);

describe('resize, what has no gradient', () => {
  const refused: [Attributes, RegExp][] = [
    [{ coordinate_transformation_mode: 'tf_crop_and_resize' }, /"tf_crop_and_resize" has no gradient rule/],
    [{ keep_aspect_ratio_policy: 'not_larger' }, /"not_larger" has no gradient rule/],
  ];
  for (const [attributes, reason] of refused) {
    test(Object.values(attributes).join(), async () => {
      const inputs = [{ shape: [2, 3, 4, 5] }, { floats: [0, 0, 1, 1] }, null, { integers: [8, 8] }];
      const at: RuleCase = {
        operator: 'Resize',
        inputs,
        attributes: { mode: 'linear', axes: [2, 3], ...attributes },
        opset: 18,
      };
      await assert.rejects(checkRule(RESIZE_RULES, at, 'static'), reason);
    });
  }
});
