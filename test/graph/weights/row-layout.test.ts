import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type AxisRole,
  createRoles,
  createRowLayout,
  moveRoles,
} from '../../../src/graph/weights/row-layout.ts';
import { coordinates, flatIndex, follow, size, storedTensor } from './indexed.ts';

const chain = fc.record({
  ...storedTensor,
  roles: fc.array(fc.constantFrom<AxisRole>('unit', 'sum'), { minLength: 8, maxLength: 8 }),
});

describe('rows carried back to the stored tensor', () => {
  test('partition its elements as the layer does, whenever they are defined', () => {
    let defined = 0;
    fc.assert(
      fc.property(chain, ({ shape, steps, roles }) => {
        const { value, perms } = follow(shape, steps);
        let carried = createRoles(value.shape, roles.slice(0, value.shape.length));
        for (const { perm, shape: turned } of perms.toReversed()) {
          if (perm !== null) carried = moveRoles(carried, { how: 'transpose', result: turned, perm });
        }
        const layout = createRowLayout(carried);
        if (layout === null) return;
        defined++;
        const { outer, reduced, units, inner } = layout;
        assert.equal(outer * reduced * units * inner, size(shape));

        const unitAxes = value.shape.map((_, axis) => axis).filter((axis) => roles[axis] === 'unit');
        const expected = new Map<number, number>(); // row by layer's unit
        for (const [flat, element] of value.elements.entries()) {
          const position = coordinates(flat, value.shape);
          const unit = flatIndex(
            unitAxes.map((axis) => position[axis]),
            unitAxes.map((axis) => value.shape[axis]),
          );
          const [o, , u] = coordinates(element, [outer, reduced, units, inner]);
          const row = o * units + u;
          assert.equal(expected.get(unit) ?? row, row, 'elements of one unit are in one row');
          expected.set(unit, row);
        }
        assert.equal(new Set(expected.values()).size, expected.size, 'units have rows of their own');
      }),
      { numRuns: 2000 },
    );
    assert.ok(defined > 500, `${defined} chains had rows`);
  });

  test('a broadcast operand keeps its rows only where each element feeds one unit', () => {
    const roles = createRoles([6, 4], ['unit', 'sum']);
    assert.deepEqual(
      createRowLayout(moveRoles(roles, { how: 'broadcast', result: [6, 4], operand: [6, 1] })),
      {
        outer: 1,
        reduced: 1,
        units: 6,
        inner: 1,
      },
    );
    assert.equal(moveRoles(roles, { how: 'broadcast', result: [6, 4], operand: [1, 4] }), null);
    assert.equal(moveRoles(roles, { how: 'broadcast', result: [6, 4], operand: [4] }), null);
  });

  test('a slice of an axis with two roles has no rows', () => {
    const heads = createRoles([2, 3, 4], ['unit', 'sum', 'sum']);
    assert.deepEqual(
      createRowLayout(moveRoles(heads, { how: 'select', result: [6, 4], operand: [6, 9], picks: null })),
      {
        outer: 1,
        reduced: 1,
        units: 2,
        inner: 27,
      },
    );
    assert.equal(moveRoles(heads, { how: 'select', result: [6, 4], operand: [7, 4], picks: null }), null);
  });
});
