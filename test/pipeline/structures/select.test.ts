import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { selectFamilies } from '../../../src/pipeline/structures/select.ts';
import { producersOf } from '../../../src/structure/families.ts';
import { familyOf } from '../../criteria/structures/families.ts';

type Choice = Parameters<typeof selectFamilies>[1];

const families = [
  familyOf('features.0.weight', 4),
  familyOf('features.1.weight', 6),
  familyOf('attention.q', 4, 'head'),
  familyOf('made.up', 4, 'other'),
];
const frozen = [
  { tensor: 'last', axis: 0, node: 'logits', operator: '', reason: 'is an axis of an output of the model' },
  { tensor: 'first', axis: 1, node: 'Conv_0', operator: 'Conv', reason: 'is tied' },
  { tensor: 'lone', axis: 0, node: '', operator: '', reason: 'is one structure' },
];
const select = (choice: Choice, of = families) =>
  selectFamilies({ families: of, frozen }, choice, producersOf).map(({ name }) => name);

describe('families that a recipe prunes', () => {
  test('are those of its granularity, less what the globs leave out', () => {
    const channels = ['features.0.weight', 'features.1.weight'];
    assert.deepEqual(select({ granularity: 'channel' }), channels);
    assert.deepEqual(select({ granularity: 'head' }), ['attention.q']);
    assert.deepEqual(select({ granularity: 'channel', include: ['*.1.*'] }), [channels[1]]);
    assert.deepEqual(select({ granularity: 'channel', exclude: ['*.1.*', '*bias'] }), [channels[0]]);
    assert.deepEqual(select({ granularity: 'channel', include: ['features*'], exclude: ['*0.weight'] }), [
      channels[1],
    ]);
  });

  test('any of the weights that compute a family names it', () => {
    const [first] = familyOf('a', 2).structures;
    const both = { ...first, producers: [...first.producers, { tensor: 'b', axis: 0, positions: [0] }] };
    const residual = [{ ...familyOf('a', 1), structures: [both] }];
    assert.deepEqual(select({ granularity: 'channel', include: ['b'] }, residual), ['a']);
    assert.throws(() => select({ granularity: 'channel', exclude: ['b'] }, residual), {
      code: 'no_prunable_tensors',
      message: 'exclude leaves no channel of this model; take a pattern out of it',
    });
  });

  test('a glob that matches none of them is refused by its place', () => {
    const message = 'matches no weight that computes a channel';
    assert.throws(() => select({ granularity: 'channel', include: ['features*', 'attention*'] }), {
      code: 'invalid_request',
      message: `include: "attention*" ${message}`,
      findings: [
        {
          path: '/recipe/include/1',
          message: `${message}; such weights are features.0.weight, features.1.weight`,
        },
      ],
    });
  });

  test('a model without any says what it has, and what is frozen', () => {
    const message =
      'this model has no kan_node that can be removed; it has channel (2 families) and head (1 family), or give granularity weight (KAN nodes are known by tensors named like layers.0.spline_weight)';
    assert.throws(() => select({ granularity: 'kan_node', include: ['*'] }), {
      code: 'no_prunable_tensors',
      message,
      findings: [
        { path: '/recipe/granularity', message },
        { path: 'last', message: 'axis 0 is an axis of an output of the model (logits)' },
        { path: 'first', message: 'axis 1 is tied (Conv Conv_0)' },
        { path: 'lone', message: 'axis 0 is one structure' },
      ],
    });
    assert.throws(() => select({ granularity: 'head' }, families.slice(3)), {
      message:
        'this model has no head that can be removed; it has no other structures either, so give granularity weight',
    });
  });
});
