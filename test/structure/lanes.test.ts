import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  concatAxes,
  mergeAxes,
  pickPositions,
  regroupAxes,
  splitAxis,
} from '../../src/structure/lane-axes.ts';
import { type LaneAxis, Lanes, type Obstacle } from '../../src/structure/lanes.ts';

const HERE: Obstacle = { node: 'n', operator: 'Op', reason: 'for the test' };

/** Every set of roots that may be removed, as the positions of an axis that go: what must agree is compared under each of them. */
function removals(lanes: Lanes, seed: number): ((axis: LaneAxis, position: number) => boolean)[] {
  const roots = new Set(Array.from({ length: lanes.count }, (_, lane) => lanes.rootsOf(lane)).flat());
  const free = [...roots].filter((root) => lanes.obstacleOf(root) === null);
  const subsets = Array.from({ length: 8 }, (_, draw) => {
    const chosen = free.filter((root) => ((root * 2654435761 + seed * 40503 + draw * 7919) >>> 7) % 3 === 0);
    return new Set(chosen);
  });
  const singles = free.map((root) => new Set([root]));
  return [...subsets, ...singles].map(
    (removed) => (axis, position) => lanes.rootsAt(axis, position).some((root) => removed.has(root)),
  );
}

/** Steps that build an axis of 24 positions out of others. */
const recipe = fc.record({
  sizes: fc.constantFrom([24], [4, 6], [6, 4], [2, 3, 4], [8, 3], [2, 12], [1, 24], [4, 1, 6]),
  fixed: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  shuffled: fc.boolean(),
  joined: fc.array(fc.tuple(fc.nat(23), fc.nat(23)), { maxLength: 4 }),
  halves: fc.boolean(),
});

function build(
  lanes: Lanes,
  { sizes, fixed, shuffled, joined, halves }: typeof recipe extends fc.Arbitrary<infer T> ? T : never,
): LaneAxis {
  const axes = sizes.map((size, i) => (fixed[i] && sizes.length > 1 ? null : lanes.createAxis(size)));
  let axis = mergeAxes(axes, sizes);
  if (shuffled)
    axis = pickPositions(
      axis,
      Array.from({ length: 24 }, (_, i) => (i * 7) % 24),
    );
  if (halves) axis = concatAxes([pickPositions(axis, [...Array(12).keys()]), lanes.createAxis(12)], [12, 12]);
  for (const [a, b] of joined) lanes.equate(lanes.rootsAt(axis, a), lanes.rootsAt(axis, b), HERE);
  return axis;
}

describe('lanes', () => {
  test('two axes that are tied lose the same positions, whatever is removed', () => {
    fc.assert(
      fc.property(recipe, recipe, fc.nat(1000), (first, second, seed) => {
        const lanes = new Lanes();
        const [a, b] = [build(lanes, first), build(lanes, second)];
        lanes.tie(a, b, HERE);
        for (const isRemoved of removals(lanes, seed)) {
          for (let position = 0; position < 24; position++) {
            assert.equal(isRemoved(a, position), isRemoved(b, position), `position ${position}`);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('an axis that is split loses a position exactly when one of its coordinates is lost', () => {
    fc.assert(
      fc.property(
        recipe,
        fc.constantFrom([4, 6], [6, 4], [2, 3, 4], [3, 8], [24, 1], [2, 2, 6], [1, 24]),
        fc.nat(1000),
        (made, sizes, seed) => {
          const lanes = new Lanes();
          const axis = build(lanes, made);
          const parts = splitAxis(lanes, axis, sizes, HERE);
          const merged = mergeAxes(parts, sizes);
          for (const isRemoved of removals(lanes, seed)) {
            for (let position = 0; position < 24; position++) {
              assert.equal(isRemoved(merged, position), isRemoved(axis, position), `position ${position}`);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  const SHAPES: readonly (readonly number[])[] = [
    [24],
    [4, 6],
    [2, 3, 4],
    [8, 3],
    [1, 24],
    [4, 1, 6],
    [2, 2, 2, 3],
    [3, 8, 1],
  ];

  test('axes that are regrouped are those merged and split, numbers one by one', () => {
    const shape = fc.constantFrom(...SHAPES);
    const kinds = fc.array(fc.constantFrom('own', 'fixed', 'halves'), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(shape, shape, kinds, fc.boolean(), (sizes, wanted, kinds, isBack) => {
        const found = [true, false].map((isRegrouped) => {
          const lanes = new Lanes();
          const group = (axes: readonly LaneAxis[], from: readonly number[], to: readonly number[]) => {
            if (isRegrouped) return regroupAxes(lanes, axes, from, to, HERE);
            const merged = axes.length === 1 ? axes[0] : mergeAxes(axes, from);
            return to.length === 1 ? [merged] : splitAxis(lanes, merged, to, HERE);
          };
          const axes = sizes.map((size, i) => {
            if (kinds[i] === 'fixed' || size === 1) return null;
            if (kinds[i] === 'own' || size % 2 === 1) return lanes.createAxis(size);
            const half = lanes.createAxis(size / 2);
            return (
              half &&
              pickPositions(
                half,
                [...Array(size).keys()].map((position) => position >> 1),
              )
            );
          });
          let [result, shape] = [group(axes, sizes, wanted), wanted];
          if (isBack) [result, shape] = [group(result, wanted, sizes), sizes];
          const rootsOf = (axis: LaneAxis, size: number) =>
            Array.from({ length: size }, (_, position) => lanes.rootsAt(axis, position).sort());
          const roots = result.map((axis, i) => rootsOf(axis, shape[i]));
          const frozen = Array.from({ length: lanes.count }, (_, lane) =>
            lanes.rootsOf(lane).map((root) => lanes.obstacleOf(root)),
          );
          return { roots, frozen };
        });
        assert.deepEqual(found[0], found[1]);
      }),
      { numRuns: 1000 },
    );
  });

  test('heads and their widths fall out of a split, and neither forces the other', () => {
    const lanes = new Lanes();
    const [heads, widths] = splitAxis(lanes, lanes.createAxis(12), [3, 4], HERE);
    const roots = (axis: LaneAxis, size: number) =>
      Array.from({ length: size }, (_, position) => lanes.rootsAt(axis, position));
    assert.equal(new Set(roots(heads, 3).flat()).size, 3);
    assert.equal(new Set(roots(widths, 4).flat()).size, 4);
    assert.equal(new Set([...roots(heads, 3), ...roots(widths, 4)].flat()).size, 7);
  });

  test('what is tied to an axis that cannot shrink is frozen, and the first reason stays', () => {
    const lanes = new Lanes();
    const axis = lanes.createAxis(3);
    lanes.freezeAxis(axis, HERE, (position) => position === 1);
    lanes.tie(axis, null, { ...HERE, reason: 'a later one' });
    assert.deepEqual(
      [0, 1, 2].map((position) => lanes.obstacleOf(lanes.rootsAt(axis, position)[0])?.reason),
      ['a later one', 'for the test', 'a later one'],
    );
  });

  test('joining takes over what froze either, before and after', () => {
    const lanes = new Lanes();
    const [a, b, c] = [lanes.createAxis(2), lanes.createAxis(2), lanes.createAxis(2)];
    lanes.freezeAxis(b, HERE);
    lanes.tie(a, b, HERE);
    lanes.tie(c, a, HERE);
    assert.equal(lanes.obstacleOf(lanes.rootsAt(c, 0)[0]), HERE);
    const parts = splitAxis(lanes, a, [2, 1], HERE);
    assert.equal(lanes.obstacleOf(lanes.rootsAt(parts[0], 1)[0]), HERE);
  });

  test('of a frozen product both coordinates are frozen', () => {
    const lanes = new Lanes();
    const axis = lanes.createAxis(6);
    lanes.freezeAxis(axis, HERE, (position) => position === 4);
    const [rows, columns] = splitAxis(lanes, axis, [2, 3], HERE);
    const isFrozen = (part: LaneAxis, position: number) =>
      lanes.rootsAt(part, position).some((root) => lanes.obstacleOf(root) !== null);
    assert.deepEqual(
      [0, 1].map((p) => isFrozen(rows, p)),
      [false, true],
    );
    assert.deepEqual(
      [0, 1, 2].map((p) => isFrozen(columns, p)),
      [false, true, false],
    );
  });
});

describe('lanes of lanes', () => {
  test('are gone through without the stack, each once', () => {
    const lanes = new Lanes();
    let [whole, part] = [lanes.create(), lanes.create()];
    const first = whole;
    const parts = [part];
    for (let depth = 0; depth < 20_000; depth++) {
      const next = lanes.create();
      lanes.equate(lanes.rootsOf(whole).slice(-1), [next, part], HERE);
      [whole, part] = [next, lanes.create()];
      parts.push(part);
    }
    assert.equal(lanes.rootsOf(first).length, 20_001);
  });

  test('that share their parts are not counted by the ways to them', () => {
    const lanes = new Lanes();
    const levels = Array.from({ length: 40 }, () => [lanes.create(), lanes.create()]);
    for (const [level, [left, right]] of levels.slice(0, -1).entries()) {
      const below = levels[level + 1];
      lanes.equate([left], below, HERE);
      lanes.equate([right], [...below, lanes.create()], HERE);
    }
    assert.ok(lanes.rootsOf(levels[0][1]).length <= 42);
  });
});
