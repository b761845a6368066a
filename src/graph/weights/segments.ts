import type { Move, Shape } from './element-moves.ts';

/** A stretch of an array's flat index over which something is said of its elements. */
export interface Segment {
  readonly size: number;
}

/** How segments that say one kind of thing are put together and taken apart. */
export interface SegmentKind<A extends Segment> {
  /** Whether elements may be repeated along the segment and still have what is said of each. */
  readonly isPlain: (segment: A) => boolean;
  /** One segment in the place of two neighbours; null where they say different things. */
  readonly merge: (outer: A, inner: A) => A | null;
  /** The segment as `size` pieces, and one of them; null where what is said does not come apart so. */
  readonly split: (segment: A, size: number) => readonly [A, A] | null;
  /** An axis of another size of which the one given is a part, or the other way round; null where it cannot be told. */
  readonly resize: (axis: readonly A[], size: number) => readonly A[] | null;
}

/** Segments by axis. */
type Axes<A> = readonly (readonly A[])[];

/** Neighbours that can be are merged, so that the same said twice looks the same; sizes of 1 tell nothing. */
export function joinSegments<A extends Segment>(kind: SegmentKind<A>, axes: Axes<A>): A[] {
  const joined: A[] = [];
  for (const segment of axes.flat()) {
    if (segment.size === 1) continue;
    const last = joined.at(-1);
    const merged = last === undefined ? null : kind.merge(last, segment);
    if (merged === null) joined.push(segment);
    else joined[joined.length - 1] = merged;
  }
  return joined;
}

/** The segments of each axis of `shape`; null where a segment reaches over an axis's end. */
export function cutSegments<A extends Segment>(
  kind: SegmentKind<A>,
  segments: readonly A[] | null,
  shape: Shape,
): Axes<A> | null {
  if (segments === null || shape === null) return null;
  const rest = [...segments];
  const axes: A[][] = [];
  for (const size of shape) {
    const axis: A[] = [];
    let open = size;
    while (open > 1) {
      const segment = rest.shift();
      if (segment === undefined) return null;
      if (open % segment.size === 0 && segment.size > 0) {
        axis.push(segment);
        open /= segment.size;
      } else if (segment.size % open === 0) {
        const pieces = kind.split(segment, open);
        if (pieces === null) return null;
        axis.push(pieces[0]);
        rest.unshift(pieces[1]);
        open = 1;
      } else {
        return null;
      }
    }
    axes.push(axis);
  }
  return rest.length === 0 ? axes : null;
}

/** From the segments of a result to those of the operand; null where they cannot be told. */
export function moveSegments<A extends Segment>(
  kind: SegmentKind<A>,
  segments: readonly A[] | null,
  move: Exclude<Move, { readonly how: 'unstack' | 'stack' }>,
): readonly A[] | null {
  if (move.how === 'same') return segments;
  if (move.how === 'unknown') return null;
  const axes = cutSegments(kind, segments, move.result);
  const moved = axes && (move.how === 'transpose' ? transpose(axes, move.perm) : resize(kind, axes, move));
  return moved && joinSegments(kind, moved);
}

function transpose<A>(axes: Axes<A>, perm: readonly number[]): Axes<A> {
  const before: (readonly A[])[] = [];
  for (const [axis, source] of perm.entries()) before[source] = axes[axis];
  return before;
}

/** The axes of an operand that was broadcast, joined to others or sliced; null where one element has several things said of it. */
function resize<A extends Segment>(
  kind: SegmentKind<A>,
  axes: Axes<A>,
  { how, result, operand }: Extract<Move, { readonly operand: Shape }>,
): Axes<A> | null {
  if (result === null || operand === null) return null;
  const missing = result.length - operand.length;
  const isKept = (axis: number) => axis >= missing && operand[axis - missing] === result[axis];
  if (how === 'broadcast') {
    const repeated = axes.filter((_, axis) => !isKept(axis));
    return repeated.flat().every(kind.isPlain) ? axes.filter((_, axis) => isKept(axis)) : null;
  }
  if (missing !== 0) return null;
  const resized = axes.map((own, axis) => (isKept(axis) ? own : kind.resize(own, operand[axis])));
  return resized.every((axis) => axis !== null) ? resized : null;
}
