import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addValues, createIndexMap, type IndexMap, moveMap } from '../../../src/graph/weights/index-map.ts';
import { coordinates, follow, size, storedTensor } from './indexed.ts';

/** The number of every element. */
function numbersOf(map: NonNullable<IndexMap>, count: number, start = 0): number[] {
  const values = Float64Array.from({ length: 10_000 }, (_, number) => number);
  const target = new Float64Array(count);
  addValues(map, values, start, target);
  return [...target];
}

const known = (map: IndexMap) => map ?? assert.fail('unknown');

describe('numbers carried back to the stored tensor', () => {
  test('are those that the elements have in the layer, whenever they are known', () => {
    let defined = 0;
    const strides = fc.array(fc.constantFrom(0, 1, 2, 5), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(fc.record({ ...storedTensor, strides }), ({ shape, steps, strides }) => {
        const { value, perms } = follow(shape, steps);
        let carried = createIndexMap(value.shape, strides);
        for (const { perm, shape: turned } of perms.toReversed()) {
          if (perm !== null) carried = moveMap(carried, { how: 'transpose', result: turned, perm });
        }
        if (carried === null) return;
        defined++;
        const expected: number[] = [];
        for (const [flat, element] of value.elements.entries()) {
          const position = coordinates(flat, value.shape);
          expected[element] = position.reduce((sum, digit, axis) => sum + digit * strides[axis], 0);
        }
        assert.deepEqual(numbersOf(carried, size(shape)), expected);
      }),
      { numRuns: 2000 },
    );
    assert.ok(defined > 1000, `${defined} chains had numbers`);
  });

  test('a stretch from anywhere is a stretch of the whole', () => {
    const map = known(createIndexMap([2, 3, 4, 5], [3, 0, 7, 0]));
    const whole = numbersOf(map, 120);
    for (let start = 0; start < 120; start += 7) {
      for (const count of [1, 4, 13, 120 - start]) {
        const end = Math.min(120, start + count);
        assert.deepEqual(numbersOf(map, end - start, start), whole.slice(start, end));
      }
    }
  });

  test('a broadcast operand has them where each element has one', () => {
    const map = createIndexMap([6, 4], [0, 1]);
    assert.deepEqual(
      numbersOf(known(moveMap(map, { how: 'broadcast', result: [6, 4], operand: [4] })), 4),
      [0, 1, 2, 3],
    );
    assert.equal(moveMap(map, { how: 'broadcast', result: [6, 4], operand: [6, 1] }), null);
  });

  test('an operand of a Concat has them where the axis it was joined along has none', () => {
    const map = createIndexMap([3, 6], [1, 0]);
    assert.deepEqual(
      numbersOf(known(moveMap(map, { how: 'concat', result: [3, 6], operand: [3, 2] })), 6),
      [0, 0, 1, 1, 2, 2],
    );
    assert.equal(moveMap(map, { how: 'concat', result: [3, 6], operand: [2, 6] }), null);
  });
});
