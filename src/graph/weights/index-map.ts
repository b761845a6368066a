import type { Move } from './element-moves.ts';
import { hasRepeats, indexOfPick, type Picks, pickAt, pickCount, pickOf } from './picks.ts';
import { cutSegments, joinSegments, moveSegments, type SegmentKind } from './segments.ts';

/** A stretch of an axis, and how far the number goes on from one position to the next. */
interface Stride {
  readonly size: number;
  readonly stride: number;
  /** Where only some of its positions have a number: these, one after the other. */
  readonly picks: Picks | null;
}

const STRIDES: SegmentKind<Stride> = {
  isPlain: ({ stride, picks }) => stride === 0 && picks === null,
  merge: (outer, { size, stride, picks }) =>
    outer.picks === null && picks === null && outer.stride === stride * size
      ? { size: outer.size * size, stride, picks }
      : null,
  split: ({ size, stride, picks }, pieces) => {
    const piece = size / pieces;
    const outer = { size: pieces, stride: stride * piece, picks: null };
    const inner = { size: piece, stride, picks: null };
    if (picks === null) return [outer, inner];
    if (!('step' in picks) || picks.step !== 1) return null;
    const { first, count } = picks;
    const begin = Math.floor(first / piece);
    if (first % piece === 0 && count % piece === 0)
      return [{ ...outer, picks: { first: begin, step: 1, count: count / piece } }, inner];
    if (first + count > (begin + 1) * piece) return null;
    return [
      { ...outer, stride: 0, picks: { first: begin, step: 1, count: 1 } },
      { ...inner, picks: { first: first % piece, step: 1, count } },
    ];
  },
  // What was joined to the operand along an axis that has numbers moves where they start.
  resize: (axis, size) => (axis.every(STRIDES.isPlain) ? [{ size, stride: 0, picks: null }] : null),
};

/**
 * A number for every element of a constant, such as the input feature that it multiplies: the sum of positions times strides,
 * outermost first. Elements of which a layer multiplies by others have none. Like the roles of its elements it knows nothing of axes, so a
 * reshape leaves it as it is. Null where it cannot be told.
 */
export type IndexMap = readonly Stride[] | null;

/** Strides by axis. */
export function createIndexMap(shape: readonly number[], strides: readonly number[]): IndexMap {
  return joinSegments(
    STRIDES,
    shape.map((size, axis) => [{ size, stride: strides[axis], picks: null }]),
  );
}

/** From the numbers of a result's elements to those of the operand's. */
export function moveMap(map: IndexMap, move: Move): IndexMap {
  if (move.how === 'stack') {
    // Each has numbers of its own.
    return map && joinSegments(STRIDES, [[{ size: move.size, stride: countOf(map), picks: null }], map]);
  }
  if (move.how !== 'select' && move.how !== 'unstack') return moveSegments(STRIDES, map, move);
  const axes = cutSegments(STRIDES, map, move.result);
  if (axes === null) return null;
  if (move.how === 'unstack') {
    const { axis, size, at } = move;
    return at === null ? null : joinSegments(STRIDES, axes.toSpliced(axis, 0, [onlyAt(size, at)]));
  }
  const { operand, picks } = move;
  if (operand === null || operand.length !== axes.length || picks === null) return null;
  const picked = axes.map((axis, at) => pickAlong(axis, operand[at], picks[at]));
  return picked.every((axis) => axis !== null) ? joinSegments(STRIDES, picked) : null;
}

/** How many numbers a map has. */
function countOf(map: NonNullable<IndexMap>): number {
  return map.reduce(
    (last, { size, stride, picks }) => last + ((picks ? pickCount(picks) : size) - 1) * stride,
    1,
  );
}

const onlyAt = (size: number, at: number): Stride => ({
  size,
  stride: 0,
  picks: { first: at, step: 1, count: 1 },
});

/** An axis of which some positions were taken; null where their numbers do not follow from one to the next. */
function pickAlong(axis: readonly Stride[], size: number, picks: Picks | null): readonly Stride[] | null {
  if (picks === null) return axis;
  const [only, ...others] = joinSegments(STRIDES, [axis]);
  if (only === undefined) return [onlyAt(size, pickAt(picks, 0))];
  const isTold = others.length === 0 && (only.stride === 0 || !hasRepeats(picks));
  return isTold ? [{ size, stride: only.stride, picks: pickOf(picks, only.picks) }] : null;
}

/** Adds to `target[i]` the value of element `start + i`: the one of its number, nothing where it has none. */
export function addValues(
  map: NonNullable<IndexMap>,
  values: Float64Array,
  start: number,
  target: Float64Array,
): void {
  const inner = map.at(-1) ?? { size: 1, stride: 0, picks: null };
  const outer = map
    .slice(0, -1)
    .reverse()
    .map(({ size, stride, picks }) => ({ size, numberAt: numbersAlong(stride, picks) }));
  const numberAt = inner.picks && numbersAlong(inner.stride, inner.picks);
  let done = 0;
  while (done < target.length) {
    const position = (start + done) % inner.size;
    const end = Math.min(done + inner.size - position, target.length);
    let row = (start + done - position) / inner.size;
    let number: number | undefined = 0;
    for (const { size, numberAt } of outer) {
      const digit = row % size;
      const own: number | undefined = numberAt(digit);
      number = own === undefined || number === undefined ? undefined : number + own;
      row = (row - digit) / size;
    }
    if (number === undefined) done = end;
    else if (numberAt === null) {
      number += position * inner.stride;
      for (; done < end; done++) {
        target[done] += values[number];
        number += inner.stride;
      }
    } else {
      for (let at = position; done < end; done++, at++) {
        const own = numberAt(at);
        if (own !== undefined) target[done] += values[number + own];
      }
    }
  }
}

function numbersAlong(stride: number, picks: Picks | null): (position: number) => number | undefined {
  if (picks === null) return (position) => position * stride;
  const indexOf = indexOfPick(picks);
  return (position) => {
    const index = indexOf(position);
    return index === undefined ? undefined : index * stride;
  };
}

/** Whether every element has a number in one of the maps at least. Only maps that leave something out along one and the same axis are looked at together. */
export function coverAll(maps: readonly NonNullable<IndexMap>[]): boolean {
  if (maps.some(isWhole)) return true;
  const frames = maps.map((map) => {
    const at = map.findIndex(({ picks }) => picks !== null);
    const { size, picks } = map[at];
    const inner = map.slice(at + 1).reduce((product, { size }) => product * size, 1);
    return { size, inner, picks: isWhole(map.slice(at + 1)) ? picks : null };
  });
  const [{ size, inner }] = frames;
  const taken = new Set<number>();
  for (const frame of frames) {
    if (frame.size !== size || frame.inner !== inner || frame.picks === null) return false;
    for (let i = 0; i < pickCount(frame.picks); i++) taken.add(pickAt(frame.picks, i));
  }
  return taken.size === size;
}

/** Whether every element has a number. */
export function isWhole(map: NonNullable<IndexMap>): boolean {
  return map.every(({ picks }) => picks === null);
}

export function isSameMap(a: IndexMap, b: IndexMap): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((segment, i) => isSameStride(segment, b[i]));
}

function isSameStride(a: Stride, b: Stride): boolean {
  if (a.size !== b.size || a.stride !== b.stride) return false;
  if (a.picks === null || b.picks === null) return a.picks === b.picks;
  const [own, other] = [a.picks, b.picks];
  if (pickCount(own) !== pickCount(other)) return false;
  for (let i = 0; i < pickCount(own); i++) if (pickAt(own, i) !== pickAt(other, i)) return false;
  return true;
}
