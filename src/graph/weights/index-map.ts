import type { Move } from './element-moves.ts';
import { joinSegments, moveSegments, type SegmentKind } from './segments.ts';

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
  // What was joined to the operand along an axis that has numbers moves where they start.
  resize: (axis, size) => (axis.every(STRIDES.isPlain) ? [{ size, stride: 0 }] : null),
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

/** From the numbers of a result's elements to those of the operand's: unknown where not every one of them is in the result. */
export function moveMap(map: IndexMap, move: Move): IndexMap {
  return move.how === 'select' || move.how === 'unstack' ? null : moveSegments(STRIDES, map, move);
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
