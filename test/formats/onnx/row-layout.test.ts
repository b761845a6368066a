import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type AxisRole,
  broadcastRoles,
  createRoles,
  createRowLayout,
  sliceRoles,
  transposeRoles,
} from '../../../src/formats/onnx/row-layout.ts';

/** An array with shape, holding of each element its index in the stored tensor. */
interface Indexed {
  readonly shape: readonly number[];
  readonly elements: readonly number[];
}

const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

function coordinates(flat: number, shape: readonly number[]): number[] {
  const result = Array(shape.length).fill(0);
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    result[axis] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return result;
}

function flatIndex(position: readonly number[], shape: readonly number[]): number {
  return position.reduce((flat, coordinate, axis) => flat * shape[axis] + coordinate, 0);
}

function transpose({ shape, elements }: Indexed, perm: readonly number[]): Indexed {
  const turned = perm.map((axis) => shape[axis]);
  return {
    shape: turned,
    elements: elements.map((_, flat) => {
      const position = coordinates(flat, turned);
      const source: number[] = [];
      for (const [axis, from] of perm.entries()) source[from] = position[axis];
      return elements[flatIndex(source, shape)];
    }),
  };
}

const prime = fc.constantFrom(1, 2, 3, 4, 6);

/** A stored tensor, and steps that lead from it to a layer. */
const chain = fc.record({
  shape: fc.array(prime, { minLength: 1, maxLength: 3 }),
  steps: fc.array(fc.record({ kind: fc.constantFrom('transpose', 'split', 'join'), seed: fc.nat(1000) }), {
    maxLength: 4,
  }),
  roles: fc.array(fc.constantFrom<AxisRole>('unit', 'sum'), { minLength: 8, maxLength: 8 }),
});

describe('rows carried back to the stored tensor', () => {
  test('partition its elements as the layer does, whenever they are defined', () => {
    let defined = 0;
    fc.assert(
      fc.property(chain, ({ shape, steps, roles }) => {
        let value: Indexed = { shape, elements: Array.from({ length: size(shape) }, (_, i) => i) };
        const perms: { perm: number[] | null; shape: readonly number[] }[] = [];
        for (const { kind, seed } of steps) {
          const rank = value.shape.length;
          if (kind === 'transpose') {
            const perm = Array.from({ length: rank }, (_, i) => i).sort(
              (a, b) => (((a + 1) * seed) % 7) - (((b + 1) * seed) % 7),
            );
            value = transpose(value, perm);
            perms.push({ perm, shape: value.shape });
          } else if (kind === 'join' && rank > 1) {
            const axis = seed % (rank - 1);
            const joined = value.shape.toSpliced(axis, 2, value.shape[axis] * value.shape[axis + 1]);
            value = { ...value, shape: joined };
          } else if (kind === 'split' && rank < 6) {
            const axis = seed % rank;
            const factor = value.shape[axis] % 2 === 0 ? 2 : value.shape[axis] % 3 === 0 ? 3 : 1;
            value = { ...value, shape: value.shape.toSpliced(axis, 1, factor, value.shape[axis] / factor) };
          }
        }
        let carried = createRoles(value.shape, roles.slice(0, value.shape.length));
        for (const { perm, shape: turned } of perms.reverse()) {
          if (perm !== null) carried = transposeRoles(carried, turned, perm);
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
    assert.deepEqual(createRowLayout(broadcastRoles(roles, [6, 4], [6, 1])), {
      outer: 1,
      reduced: 1,
      units: 6,
      inner: 1,
    });
    assert.equal(broadcastRoles(roles, [6, 4], [1, 4]), null);
    assert.equal(broadcastRoles(roles, [6, 4], [4]), null);
  });

  test('a slice of an axis with two roles has no rows', () => {
    const heads = createRoles([2, 3, 4], ['unit', 'sum', 'sum']);
    assert.deepEqual(createRowLayout(sliceRoles(heads, [6, 4], [6, 9])), {
      outer: 1,
      reduced: 1,
      units: 2,
      inner: 27,
    });
    assert.equal(sliceRoles(heads, [6, 4], [7, 4]), null);
  });
});
