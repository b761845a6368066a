import {
  broadcastSegments,
  joinSegments,
  resizeSegments,
  type SegmentKind,
  transposeSegments,
} from './segments.ts';

/** A stretch of an axis, and how far the number goes on from one position to the next. */
interface Stride {
  readonly size: number;
  readonly stride: number;
}

const STRIDES: SegmentKind<Stride> = {
  isPlain: ({ stride }) => stride === 0,
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
  return joinSegments(
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
  return transposeSegments(STRIDES, map, shape, perm);
}

/** The map of an operand of shape `operand` that was broadcast to `shape`; null where one element has several numbers. */
export function broadcastMap(
  map: IndexMap,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): IndexMap {
  return broadcastSegments(STRIDES, map, shape, operand);
}

/** The map of an operand of shape `operand` that was joined to others, giving `shape`; null where its numbers do not start at 0. */
export function concatMap(
  map: IndexMap,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): IndexMap {
  return resizeSegments(STRIDES, map, shape, operand, (axis, size) =>
    axis.every(STRIDES.isPlain) ? { size, stride: 0 } : null,
  );
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
