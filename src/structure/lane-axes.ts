import { elementCount } from '../formats/model.ts';
import { isRepeated, type LaneAxis, type Lanes, type Obstacle } from './lanes.ts';

/** Of numbers that may be too many for arguments of a call; 0 of none. */
function largest(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}

/** The positions `indices` of an axis, in that order. */
export function pickPositions(axis: LaneAxis, indices: readonly number[]): LaneAxis {
  if (axis === null || indices.length <= 1) return null;
  return axis.map((column) => Int32Array.from(indices, (index) => column[index]));
}

/** Axes one after the other; those that cannot shrink are positions without lanes. */
export function concatAxes(axes: readonly LaneAxis[], sizes: readonly number[]): LaneAxis {
  const columns = largest(axes.map((axis) => axis?.length ?? 0));
  if (columns === 0) return null;
  const length = sizes.reduce((sum, size) => sum + size, 0);
  return Array.from({ length: columns }, (_, column) => {
    const joined = new Int32Array(length).fill(-1);
    let offset = 0;
    for (const [i, axis] of axes.entries()) {
      if (axis?.[column]) joined.set(axis[column], offset);
      offset += sizes[i];
    }
    return joined;
  });
}

/** Several axes as one, the last running fastest: a position goes when one of its coordinates goes. */
export function mergeAxes(axes: readonly LaneAxis[], sizes: readonly number[]): LaneAxis {
  const length = elementCount(sizes);
  if (length <= 1 || axes.every((axis) => axis === null)) return null;
  const coordinate = coordinates(sizes);
  const along = (column: Int32Array, part: Coordinate) =>
    Int32Array.from({ length }, (_, position) => column[coordinateAt(position, part)]);
  return axes.flatMap((axis, i) => (axis ?? []).map((column) => along(column, coordinate[i])));
}

/**
 * One axis as several of `sizes`, the last running fastest: the inverse of `mergeAxes`. Every lane is put down to new lanes of the coordinates that it differs along, so that
 * `heads x width` positions fall into lanes of heads and lanes of width, neither forced on the other.
 */
export function splitAxis(
  lanes: Lanes,
  axis: LaneAxis,
  sizes: readonly number[],
  obstacle: Obstacle,
): LaneAxis[] {
  const parts: Int32Array[][] = sizes.map(() => []);
  const real = [...sizes.keys()].filter((part) => sizes[part] > 1);
  if (real.length === 1) return sizes.map((size) => (size > 1 ? axis : null));
  for (const column of axis === null ? [] : columnsOfRoots(lanes, axis)) {
    const coordinate = coordinates(sizes);
    const differing = real.filter((part) => differsAlong(column, coordinate[part]));
    if (differing.length === 0) {
      lanes.freezeAxis([column], { ...obstacle, reason: 'one structure covers the whole axis' });
    } else if (differing.length === 1) {
      const [part] = differing;
      const { stride } = coordinate[part];
      parts[part].push(Int32Array.from({ length: sizes[part] }, (_, i) => column[i * stride]));
    } else {
      for (const [part, classes] of splitColumn(lanes, column, differing, coordinate, obstacle)) {
        parts[part].push(classes);
      }
    }
  }
  return parts.map((columns) => (columns.length > 0 ? columns : null));
}

/**
 * Axes of `sizes` as axes of other sizes that make up the same stretch of numbers, as `mergeAxes` and `splitAxis` say. Numbers beside each other that hang on the same lanes, such as an
 * image of one channel, are taken together: an image's size is no matter of time.
 */
export function regroupAxes(
  lanes: Lanes,
  axes: readonly LaneAxis[],
  sizes: readonly number[],
  wanted: readonly number[],
  obstacle: Obstacle,
): LaneAxis[] {
  const last = axes.findLastIndex((axis) => axis !== null);
  if (last < 0) return wanted.map(() => null);
  if (elementCount(sizes) === sizes[last] && wanted.includes(sizes[last]))
    return wanted.map((size) => (size > 1 ? axes[last] : null));
  const run = runLength(axes[last]);
  const block = run * elementCount(sizes.slice(last + 1));
  // What of a block the last wanted axes are made of, and a part of the one before them.
  let [whole, rest] = [wanted.length, block];
  while (whole > 0 && rest % wanted[whole - 1] === 0) rest /= wanted[--whole];
  const part = whole > 0 ? greatestDivisor(rest, wanted[whole - 1]) : 1;
  const left = rest / part;
  const own = [...axes.slice(0, last), everyNth(axes[last], run), null];
  const ownSizes = [...sizes.slice(0, last), sizes[last] / run, left];
  const merged = last === 0 && left === 1 ? own[0] : mergeAxes(own, ownSizes);
  const fewer = wanted.slice(0, whole).map((size, axis) => (axis === whole - 1 ? size / part : size));
  const split = fewer.length === 1 ? [merged] : splitAxis(lanes, merged, fewer, obstacle);
  return wanted.map((_, axis) =>
    axis === whole - 1 ? repeatEach(split[axis], part) : (split[axis] ?? null),
  );
}

/** The most positions, a divisor of all, for which each of them beside each other hang on the same lanes; 1 where all positions do. */
function runLength(axis: LaneAxis): number {
  if (axis === null) return 1;
  const length = axis[0].length;
  let run = length;
  for (const column of axis) {
    for (let position = 1; position < length && run > 1; position++)
      if (column[position] !== column[position - 1]) run = greatestDivisor(run, position);
  }
  return run === length ? 1 : run;
}

function greatestDivisor(a: number, b: number): number {
  let [divisor, rest] = [a, b];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return divisor;
}

function everyNth(axis: LaneAxis, step: number): LaneAxis {
  if (axis === null || step === 1) return axis;
  const length = axis[0].length / step;
  return axis.map((column) => Int32Array.from({ length }, (_, i) => column[i * step]));
}

function repeatEach(axis: LaneAxis, times: number): LaneAxis {
  if (axis === null || times === 1) return axis;
  return axis.map((column) =>
    Int32Array.from({ length: column.length * times }, (_, i) => column[Math.floor(i / times)]),
  );
}

/** One of the sizes that a flat position is made of. */
interface Coordinate {
  readonly size: number;
  readonly stride: number;
}

function coordinates(sizes: readonly number[]): Coordinate[] {
  let stride = elementCount(sizes);
  return sizes.map((size) => {
    stride /= size;
    return { size, stride };
  });
}

const coordinateAt = (position: number, { size, stride }: Coordinate) => Math.floor(position / stride) % size;

function differsAlong(column: Int32Array, coordinate: Coordinate): boolean {
  return column.some(
    (lane, position) => lane !== column[position - coordinateAt(position, coordinate) * coordinate.stride],
  );
}

/** Lanes of several coordinates, the same for those of one coordinate whose slices are alike; each lane of the column goes when one of its coordinates' does. */
function splitColumn(
  lanes: Lanes,
  column: Int32Array,
  differing: readonly number[],
  coordinate: readonly Coordinate[],
  obstacle: Obstacle,
): Map<number, Int32Array> {
  const found = new Map(differing.map((part) => [part, classesAlong(lanes, column, coordinate[part])]));
  const known = new Map<number, string>();
  for (const [position, lane] of column.entries()) {
    const set = differing.map((part) => found.get(part)?.[coordinateAt(position, coordinate[part])] ?? -1);
    if (lane < 0) {
      for (const part of set)
        lanes.freeze(part, { ...obstacle, reason: 'mixes with positions that cannot be removed' });
      continue;
    }
    if (known.get(lane) === set.join()) continue;
    known.set(lane, set.join());
    lanes.equate(lanes.rootsOf(lane), [...new Set(set.flatMap((part) => lanes.rootsOf(part)))], obstacle);
  }
  return found;
}

function classesAlong(lanes: Lanes, column: Int32Array, coordinate: Coordinate): Int32Array {
  const slices: number[][] = Array.from({ length: coordinate.size }, () => []);
  for (const [position, lane] of column.entries()) slices[coordinateAt(position, coordinate)].push(lane);
  const known = new Map<string, number>();
  return Int32Array.from(slices, (slice) => {
    const key = slice.join();
    const lane = known.get(key) ?? lanes.create();
    known.set(key, lane);
    return lane;
  });
}

/** The axis with roots for lanes: as many columns as a position has. */
function columnsOfRoots(lanes: Lanes, axis: readonly Int32Array[]): Int32Array[] {
  let roots: readonly number[] = [];
  const positions = Array.from(axis[0], (_, position) => {
    if (!isRepeated(axis, position)) roots = lanes.rootsAt(axis, position);
    return roots;
  });
  const columns = largest(positions.map((roots) => roots.length));
  return Array.from({ length: columns }, (_, column) =>
    Int32Array.from(positions, (roots) => roots[column] ?? -1),
  );
}
