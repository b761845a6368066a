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
  /** The segment as `size` pieces, and one of them. */
  readonly split: (segment: A, size: number) => readonly [A, A];
}

/** Neighbours that can be are merged, so that the same said twice looks the same; sizes of 1 tell nothing. */
export function joinSegments<A extends Segment>(kind: SegmentKind<A>, axes: readonly (readonly A[])[]): A[] {
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
  shape: readonly number[] | null,
): A[][] | null {
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
        const [outer, inner] = kind.split(segment, open);
        axis.push(outer);
        rest.unshift(inner);
        open = 1;
      } else {
        return null;
      }
    }
    axes.push(axis);
  }
  return rest.length === 0 ? axes : null;
}

/** The segments before `Transpose(perm)` whose output has `shape` and `segments`. */
export function transposeSegments<A extends Segment>(
  kind: SegmentKind<A>,
  segments: readonly A[] | null,
  shape: readonly number[] | null,
  perm: readonly number[],
): A[] | null {
  const axes = cutSegments(kind, segments, shape);
  if (axes === null) return null;
  const before: A[][] = [];
  for (const [axis, source] of perm.entries()) before[source] = axes[axis];
  return joinSegments(kind, before);
}

/** The segments of an operand of shape `operand` that was broadcast to `shape`; null where one element has several things said of it. */
export function broadcastSegments<A extends Segment>(
  kind: SegmentKind<A>,
  segments: readonly A[] | null,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): A[] | null {
  const axes = cutSegments(kind, segments, shape);
  if (axes === null || operand === null || shape === null) return null;
  const kept: A[][] = [];
  const missing = shape.length - operand.length;
  for (const [axis, own] of axes.entries()) {
    if (axis >= missing && operand[axis - missing] === shape[axis]) kept.push(own);
    else if (!own.every(kind.isPlain)) return null;
  }
  return joinSegments(kind, kept);
}

/**
 * The segments of a tensor of shape `resized` whose axes are those of the one described, of shape `shape`, but for some that are longer or shorter.
 * @param resize one of these axes; null where it cannot be told of another size
 */
export function resizeSegments<A extends Segment>(
  kind: SegmentKind<A>,
  segments: readonly A[] | null,
  shape: readonly number[] | null,
  resized: readonly number[] | null,
  resize: (axis: readonly A[], size: number) => A | null,
): A[] | null {
  const axes = cutSegments(kind, segments, shape);
  if (axes === null || shape === null || resized?.length !== shape.length) return null;
  const found = axes.map((own, axis) => {
    const other = shape[axis] === resized[axis] ? own : resize(own, resized[axis]);
    return other && [other].flat();
  });
  return found.includes(null) ? null : joinSegments(kind, found as A[][]);
}
