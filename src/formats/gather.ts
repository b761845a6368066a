import { elementCount } from './model.ts';

/** Bytes `[start, end)` of a tensor's elements, little-endian and back to back; a range may not begin before the end of the last. */
export type ReadElements = (start: number, end: number) => Promise<Uint8Array>;

/** Positions of a stored tensor kept along each axis, ascending; null where all are. */
export type KeptPositions = readonly (readonly number[] | null)[];

/** Most bytes that are read at once. */
const WINDOW_BYTES = 2 ** 20;
/** Most runs of a window, and of a pattern that several axes form; 8 bytes each. */
const MAX_RUNS = 65536;
/** Shorter runs are copied number by number, which is faster than a call. */
const MIN_BLOCK_UNITS = 32;

/** What is kept of the inner axes, and how it is repeated along the outer ones. Lengths and positions in units of at most 4 bytes. */
interface Pattern {
  /** Runs kept within the inner axes, ascending. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly outer: readonly OuterAxis[];
}

interface OuterAxis {
  readonly count: number;
  readonly positions: readonly number[] | null;
  /** From a position to the next. */
  readonly stride: number;
}

/** Kept runs that lie near each other, relative to the first one's start. */
interface Window {
  first: number;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  count: number;
}

/** The shape of what is kept. Throws RangeError where `kept` does not fit the shape. */
export function keptShape(shape: readonly number[], kept: KeptPositions): number[] {
  if (kept.length !== shape.length) throw new RangeError(`${kept.length} axes kept of ${shape.length}`);
  return shape.map((size, axis) => {
    const positions = kept[axis] ?? null;
    const fits = positions?.every((at, i) => at < size && at > (i === 0 ? -1 : positions[i - 1])) ?? true;
    if (!fits) throw new RangeError(`positions kept of axis ${axis} are not ascending below ${size}`);
    return positions?.length ?? size;
  });
}

/**
 * The elements kept, in order, in pieces of at most 1 MiB. What is kept of a row-major tensor is a subsequence of its bytes, so
 * `read` is called for ascending ranges that do not overlap.
 */
export async function* gather(
  read: ReadElements,
  shape: readonly number[],
  kept: KeptPositions,
  byteWidth: number,
): AsyncGenerator<Uint8Array> {
  if (elementCount(keptShape(shape, kept)) === 0) return;
  const unitBytes = Math.min(byteWidth, 4); // typed arrays of 8-byte numbers are slow or change NaNs
  for (const window of windows(createPattern(shape, kept, byteWidth / unitBytes), WINDOW_BYTES / unitBytes)) {
    const { first, ends, count } = window;
    const bytes = await read(first * unitBytes, (first + ends[count - 1]) * unitBytes);
    yield count === 1 ? bytes : copyRuns(bytes, window, unitBytes);
  }
}

function createPattern(shape: readonly number[], kept: KeptPositions, elementUnits: number): Pattern {
  let [starts, ends, period] = [[0], [elementUnits], elementUnits];
  const outer: OuterAxis[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const positions = kept[axis];
    const count = positions?.length ?? shape[axis];
    const isWhole = ends[0] - starts[0] === period;
    if (outer.length > 0 || (!isWhole && count * starts.length > MAX_RUNS)) {
      outer.unshift({ count, positions, stride: period });
    } else if (isWhole && positions === null) {
      ends = [period * count];
    } else {
      [starts, ends] = repeatRuns(starts, ends, period, positions ?? [...Array(count).keys()]);
    }
    period *= shape[axis];
  }
  return { starts, ends, outer };
}

/** The runs at each position, those that touch joined. */
function repeatRuns(starts: number[], ends: number[], period: number, positions: readonly number[]) {
  const repeated: [number[], number[], number] = [[], [], 0];
  const [newStarts, newEnds] = repeated;
  for (const position of positions) {
    for (let run = 0; run < starts.length; run++) {
      const start = position * period + starts[run];
      if (newEnds[newEnds.length - 1] === start) newEnds.pop();
      else newStarts.push(start);
      newEnds.push(position * period + ends[run]);
    }
  }
  return repeated;
}

/** Yields the same object again and again. */
function* windows({ starts, ends, outer }: Pattern, windowUnits: number): Generator<Window> {
  const rows = outer.reduce((product, { count }) => product * count, 1);
  const capacity = Math.min(MAX_RUNS, rows * starts.length); // thousands of small tensors would wait for the garbage collector
  const window = { first: 0, starts: new Uint32Array(capacity), ends: new Uint32Array(capacity), count: 0 };
  for (let row = 0; row < rows; row++) {
    const base = outer.length === 0 ? 0 : rowStart(outer, row);
    for (let run = 0; run < starts.length; run++) {
      const end = base + ends[run];
      for (let start = base + starts[run]; start < end; ) {
        const isFull = window.count === capacity || end - window.first > windowUnits;
        if (isFull && window.count > 0) {
          yield window;
          window.count = 0;
        }
        if (window.count === 0) window.first = start;
        const pieceEnd = Math.min(end, window.first + windowUnits);
        window.starts[window.count] = start - window.first;
        window.ends[window.count++] = pieceEnd - window.first;
        start = pieceEnd;
      }
    }
  }
  if (window.count > 0) yield window;
}

function rowStart(outer: readonly OuterAxis[], row: number): number {
  let start = 0;
  let rest = row;
  for (let axis = outer.length - 1; axis >= 0; axis--) {
    const { count, positions, stride } = outer[axis];
    const index = rest % count;
    start += (positions === null ? index : positions[index]) * stride;
    rest = (rest - index) / count;
  }
  return start;
}

function copyRuns(bytes: Uint8Array, { starts, ends, count }: Window, unitBytes: number): Uint8Array {
  const input = asUnits(bytes, unitBytes);
  let length = 0;
  for (let run = 0; run < count; run++) length += ends[run] - starts[run];
  const result = new Uint8Array(length * unitBytes);
  const output = asUnits(result, unitBytes);
  let at = 0;
  for (let run = 0; run < count; run++) {
    const [start, end] = [starts[run], ends[run]];
    if (end - start < MIN_BLOCK_UNITS) {
      for (let i = start; i < end; i++) output[at++] = input[i];
    } else {
      output.set(input.subarray(start, end), at);
      at += end - start;
    }
  }
  return result;
}

function asUnits(bytes: Uint8Array, unitBytes: number): Uint8Array | Uint16Array | Uint32Array {
  if (unitBytes === 1) return bytes;
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % unitBytes === 0 ? bytes : bytes.slice();
  const length = byteLength / unitBytes;
  return unitBytes === 2
    ? new Uint16Array(buffer, byteOffset, length)
    : new Uint32Array(buffer, byteOffset, length);
}
