import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gathersToSplit } from '../../../src/graph/passes/gathers-to-split.ts';
import { floats, integers, model, node } from '../../models/build-model.ts';
import { assertSame, fed, nodesOf } from './pass-check.ts';

const [SIZE, WIDTH] = [5, 3];

/** `y` is the sum of `x` and of rows of `w`, gathered at `indices`. */
function build(indices: readonly (number | readonly number[])[], axis = 0) {
  const names = indices.map((_, i) => `row${i}`);
  return model({
    nodes: [
      ...indices.map((_, i) => node('Gather', ['w', `i${i}`], [names[i]], { axis })),
      node('Sum', ['x', ...names], ['y']),
    ],
    initializers: [
      floats('w', axis === 0 ? [SIZE, WIDTH] : [WIDTH, SIZE]),
      ...indices.map((index, i) =>
        typeof index === 'number' ? integers(`i${i}`, [index], []) : integers(`i${i}`, [...index]),
      ),
    ],
    inputs: [['x', [1, WIDTH]]],
    outputs: [['y', [1, WIDTH]]],
  });
}

test('gathersToSplit makes one Split of Gathers at known positions, with the same values', async () => {
  const parted = build([0, -1, [3], 2]);
  gathersToSplit(parted);
  const nodes = nodesOf(parted);
  assert.equal(nodes.filter((text) => / = Split\(w, /.test(text)).length, 1);
  assert.ok(!nodes.some((text) => text.includes('Gather')));
  await assertSame(build([0, -1, [3], 2]), parted, fed('x', [1, WIDTH]));
});

test('gathersToSplit goes by the axis, and lets a position be taken twice', async () => {
  const turned = build([1, 1, 4, 0, -2], -1);
  gathersToSplit(turned);
  assert.ok(nodesOf(turned).some((text) => / = Split\(w, /.test(text)));
  await assertSame(build([1, 1, 4, 0, -2], -1), turned, fed('x', [1, WIDTH]));
});

test('gathersToSplit leaves few parts, and several positions at once, as they are', () => {
  for (const indices of [
    [0, 1, 2],
    [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
    ],
  ] as const) {
    const left = build(indices);
    const before = nodesOf(left);
    gathersToSplit(left);
    assert.deepEqual(nodesOf(left), before);
  }
});
