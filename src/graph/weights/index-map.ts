import { type AtomKind, cutAtoms, joinAtoms, transposeAtoms } from './stretches.ts';

/** A stretch of an axis, and how far the number goes on from one position to the next. */
interface Stride {
  readonly size: number;
  readonly stride: number;
}

const STRIDES: AtomKind<Stride> = {
  merge: (outer, { size, stride }) =>
    outer.stride === stride * size ? { size: outer.size * size, stride } : null,
  split: ({ size, stride }, pieces) => [
    { size: pieces, stride: stride * (size / pieces) },
    { size: size / pieces, stride },
  ],
};

/**
 * A number for every element of a constant, such as the input feature that it multiplies: the sum of positions times strides,
 * outermost first. Like the roles of its elements it knows nothing of axes, so a reshape leaves it as it is. Null where it cannot be told.
 */
export type IndexMap = readonly Stride[] | null;

/** Strides by axis. */
export function createIndexMap(shape: readonly number[], strides: readonly number[]): IndexMap {
  return joinAtoms(
    STRIDES,
    shape.map((size, axis) => [{ size, stride: strides[axis] }]),
  );
}

/** The map before `Transpose(perm)` whose output has `shape` and `map`. */
export function transposeMap(
  map: IndexMap,
  shape: readonly number[] | null,
  perm: readonly number[],
): IndexMap {
  return transposeAtoms(STRIDES, map, shape, perm);
}

/** The map of an operand of shape `operand` that was broadcast to `shape`; null where one element has several numbers. */
export function broadcastMap(
  map: IndexMap,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): IndexMap {
  const axes = cutAtoms(STRIDES, map, shape);
  if (axes === null || operand === null || shape === null) return null;
  const kept: Stride[][] = [];
  const missing = shape.length - operand.length;
  for (const [axis, atoms] of axes.entries()) {
    if (axis >= missing && operand[axis - missing] === shape[axis]) kept.push(atoms);
    else if (atoms.some(({ stride }) => stride !== 0)) return null;
  }
  return joinAtoms(STRIDES, kept);
}

/** The map of an operand of shape `operand` that was joined to others, giving `shape`; null where its numbers do not start at 0. */
export function concatMap(
  map: IndexMap,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): IndexMap {
  const axes = cutAtoms(STRIDES, map, shape);
  if (axes === null || operand === null || shape?.length !== operand.length) return null;
  const resized: Stride[][] = [];
  for (const [axis, atoms] of axes.entries()) {
    if (shape[axis] === operand[axis]) resized.push(atoms);
    else if (atoms.some(({ stride }) => stride !== 0)) return null;
    else resized.push([{ size: operand[axis], stride: 0 }]);
  }
  return joinAtoms(STRIDES, resized);
}

export function sameMap(a: IndexMap, b: IndexMap): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.length === b.length && a.every(({ size, stride }, i) => size === b[i].size && stride === b[i].stride)
  );
}

/** Gives `target[i]` the value of element `start + i`: the one of its number. */
export function spreadValues(
  map: NonNullable<IndexMap>,
  values: Float64Array,
  start: number,
  target: Float64Array,
): void {
  const inner = map.at(-1) ?? { size: 1, stride: 0 };
  const outer = map.slice(0, -1).reverse();
  let done = 0;
  while (done < target.length) {
    const position = (start + done) % inner.size;
    let row = (start + done - position) / inner.size;
    let number = position * inner.stride;
    for (const { size, stride } of outer) {
      const digit = row % size;
      number += digit * stride;
      row = (row - digit) / size;
    }
    const end = Math.min(done + inner.size - position, target.length);
    for (; done < end; done++) {
      target[done] = values[number];
      number += inner.stride;
    }
  }
}
