import { setIntegers, takeAttribute } from '../../graph/messages.ts';
import { concatAxes, pickPositions } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { passingBut } from './elementwise.ts';

export const concat: StructureRule = (at) => {
  const inputs = at.givenInputs;
  const rank = at.outputSizes().length;
  const along = at.axis('axis', 0, rank);
  const sizes = inputs.map((input) => at.sizes(input)[along]);
  return [
    Array.from({ length: rank }, (_, axis) => {
      const own = inputs.map((input) => at.axes(input)[axis]);
      if (axis === along) return concatAxes(own, sizes);
      for (const other of own.slice(1)) at.tie(own[0], other);
      return own.includes(null) ? null : own[0];
    }),
  ];
};

const split: StructureRule = (at) => {
  const x = at.axes(0);
  const along = at.axis('axis', 0, x.length);
  const sizes = at.node.outputs.map((value, output) => (value ? at.outputSizes(output)[along] : 0));
  if (at.node.outputs.includes(null)) return at.frozen('is split, and a part is left out');
  let offset = 0;
  const parts = sizes.map((size) => {
    const start = offset;
    offset += size;
    if (size === 1) at.freeze(x[along], 'is split into single positions', (position) => position === start);
    return pickPositions(x[along], range(start, size));
  });
  at.onRemoval((edit) => {
    if (!edit.shrinks(x[along])) return;
    const kept = sizes.map((size, i) => edit.kept(parts[i], size).length);
    if (at.facts.opset < 13) setIntegers(at.node.proto, 'split', kept);
    else edit.setInput(at.node.proto, 1, kept);
    takeAttribute(at.node.proto, 'num_outputs');
  });
  return parts.map((part) => x.map((axis, i) => (i === along ? part : axis)));
};

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => start + i);
}

/** One axis of a Slice. */
interface SliceRange {
  /** Its place among starts and ends. */
  readonly place: number;
  readonly axis: number;
  /** The positions taken, in their order. */
  readonly taken: readonly number[];
}

const slice: StructureRule = (at) => {
  const [x, sizes] = [at.axes(0), at.sizes(0)];
  const isOld = at.has('starts');
  const starts = isOld ? at.integers('starts') : at.integersOf(1);
  const ends = isOld ? at.integers('ends') : at.integersOf(2);
  const axes = slicedAxes(at, starts?.length ?? 0, isOld);
  const steps = at.hasInput(4) ? at.integersOf(4) : [];
  if (axes === null || steps === null)
    return at.frozen('is sliced along axes or by steps that are not constant');
  const output = [...x];
  const ranges: SliceRange[] = [];
  for (const [place, axis] of axes.entries()) {
    const size = sizes[axis];
    if (x[axis] === null) continue;
    if (starts === null || ends === null) {
      at.freeze(x[axis], 'is sliced by bounds that are not constant');
      output[axis] = null;
      continue;
    }
    const taken = takenPositions(starts[place], ends[place], steps[place] ?? 1, size);
    if (taken.length === size && taken[0] === 0) continue;
    if (taken.length === 1)
      at.freeze(x[axis], 'is the one position that a slice takes', (p) => p === taken[0]);
    if (taken.length === 0) at.freeze(x[axis], 'is sliced to nothing');
    at.leaveOut(x[axis]);
    output[axis] = pickPositions(x[axis], taken);
    ranges.push({ place, axis, taken });
  }
  at.onRemoval((edit) => {
    if (starts === null || ends === null || !ranges.some(({ axis }) => edit.shrinks(x[axis]))) return;
    const [newStarts, newEnds] = [[...starts], [...ends]];
    const newSteps = axes.map((_, place) => steps[place] ?? 1);
    for (const { place, axis, taken } of ranges) {
      const kept = edit.kept(x[axis], sizes[axis]);
      const moved = movedPositions(taken, kept);
      const isEven = moved.every((position, i) => i === 0 || position - moved[i - 1] === newSteps[place]);
      if (!isEven) {
        edit.pickInput(at.node.proto, 0, axis, moved);
        [newStarts[place], newEnds[place], newSteps[place]] = [0, moved.length, 1];
        continue;
      }
      const end = moved[moved.length - 1] + Math.sign(newSteps[place]);
      newStarts[place] = moved[0];
      // A bound below 0 counts from the end: this one lies before the first position.
      newEnds[place] = end < 0 ? end - kept.length : end;
    }
    if (isOld) {
      setIntegers(at.node.proto, 'starts', newStarts);
      setIntegers(at.node.proto, 'ends', newEnds);
    } else {
      // All of one type, and others than int64 may have been given.
      const given = at.hasInput(4) ? [newStarts, newEnds, axes, newSteps] : [newStarts, newEnds, axes];
      for (const [i, values] of given.entries()) edit.setInput(at.node.proto, i + 1, values);
    }
  });
  return [output];
};

/** Null where they are not constant. */
function slicedAxes(at: AnalysedNode, count: number, isOld: boolean): number[] | null {
  const rank = at.axes(0).length;
  const given = isOld ? at.integers('axes') : at.hasInput(3) ? at.integersOf(3) : undefined;
  if (given === null && !isOld) return null;
  const bounds = count > 0 ? count : (at.facts.sizesOf(at.inputName(1))[0] ?? 0);
  return (given ?? range(0, bounds)).map((axis) => (axis < 0 ? axis + rank : axis));
}

/** Positions of an axis that bounds and a step take, in their order. */
function takenPositions(start: number, end: number, step: number, size: number): number[] {
  const clamp = (bound: number, least: number, most: number) =>
    Math.min(most, Math.max(least, bound < 0 ? bound + size : bound));
  const [first, last] =
    step > 0
      ? [clamp(start, 0, size), clamp(end, 0, size)]
      : [clamp(start, 0, size - 1), clamp(end, -1, size - 1)];
  return Array.from({ length: Math.max(0, Math.ceil((last - first) / step)) }, (_, i) => first + i * step);
}

/** Where positions lie among those that are kept, without those that are not. */
function movedPositions(positions: readonly number[], kept: readonly number[]): number[] {
  const places = new Map(kept.map((position, place) => [position, place]));
  return positions.flatMap((position) => places.get(position) ?? []);
}

const gather: StructureRule = (at) => {
  const x = at.axes(0);
  const along = at.axis('axis', 0, x.length);
  const size = at.sizes(0)[along];
  const indexRank = at.sizes(1).length;
  const given = at.integersOf(1);
  let picked: LaneAxis[] = at.sizes(1).map(() => null);
  if (x[along] !== null && (given === null || indexRank > 1)) {
    at.freeze(x[along], 'is looked up by index');
  } else if (x[along] !== null && given !== null) {
    at.leaveOut(x[along]);
    const indices = given.map((index) => (index < 0 ? index + size : index));
    if (indices.length === 1) {
      at.freeze(x[along], 'is the one position that is looked up', (position) => position === indices[0]);
    } else {
      picked = [pickPositions(x[along], indices)];
    }
    at.onRemoval((edit) => {
      if (!edit.shrinks(x[along])) return;
      const kept = edit.kept(x[along], size);
      const moved = movedPositions(indices, kept);
      edit.setInput(at.node.proto, 1, moved, indexRank === 0 ? [] : undefined);
    });
  }
  return [[...x.slice(0, along), ...picked, ...x.slice(along + 1)]];
};

/** What is kept depends on a condition for every position. */
const compress: StructureRule = (at) => {
  const x = at.axes(0);
  if (!at.has('axis')) return at.frozen('is compressed along all axes');
  const along = at.axis('axis', 0, x.length);
  at.freeze(x[along], 'is compressed');
  return [x.map((axis, i) => (i === along ? null : axis))];
};

/** Every sequence has a length of its own. */
const reverseSequence = passingBut('is reversed up to a length', (x, at) => [
  x[at.integer('time_axis', 0)],
  x[at.integer('batch_axis', 1)],
]);

/** New positions are written over some of an axis, where the indices of each sample say. */
const tensorScatter: StructureRule = (at) => {
  const [cache, update] = [at.axes(0), at.axes(1)];
  const along = at.axis('axis', -2, cache.length);
  at.fixed([cache[along], update[along]], 'is written to by index');
  if (at.hasInput(2)) at.freeze(cache[0], 'is written to where its own index says');
  for (const [axis, own] of cache.entries()) if (axis !== along) at.tie(own, update[axis]);
  return [cache];
};

/** Operators that take some of the numbers, or put them beside others. */
export const INDEXING_RULES: StructureRules = new Map<string, StructureRule>([
  ['Concat', concat],
  ['Split', split],
  ['Slice', slice],
  ['Gather', gather],
  ['Compress', compress],
  ['ReverseSequence', reverseSequence],
  ['TensorScatter', tensorScatter],
]);
