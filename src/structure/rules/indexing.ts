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
  readonly start: number;
  readonly end: number;
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
    if (starts === null || ends === null || (steps[place] ?? 1) !== 1) {
      at.freeze(x[axis], 'is sliced in steps, or by bounds that are not constant');
      output[axis] = null;
      continue;
    }
    const [start, end] = [clampBound(starts[place], size), clampBound(ends[place], size)];
    if (end - start === size) continue;
    const indices = range(start, Math.max(0, end - start));
    if (indices.length === 1)
      at.freeze(x[axis], 'is the one position that a slice takes', (p) => p === start);
    if (indices.length === 0) at.freeze(x[axis], 'is sliced to nothing');
    at.leaveOut(x[axis]);
    output[axis] = pickPositions(x[axis], indices);
    ranges.push({ place, axis, start, end });
  }
  at.onRemoval((edit) => {
    if (starts === null || ends === null || !ranges.some(({ axis }) => edit.shrinks(x[axis]))) return;
    const [newStarts, newEnds] = [[...starts], [...ends]];
    for (const { place, axis, start, end } of ranges) {
      const kept = edit.kept(x[axis], sizes[axis]);
      newStarts[place] = kept.filter((position) => position < start).length;
      newEnds[place] = kept.filter((position) => position < end).length;
    }
    if (isOld) {
      setIntegers(at.node.proto, 'starts', newStarts);
      setIntegers(at.node.proto, 'ends', newEnds);
    } else {
      // All of one type, and others than int64 may have been given.
      for (const [i, values] of [newStarts, newEnds, axes, steps].entries()) {
        if (values.length > 0) edit.setInput(at.node.proto, i + 1, values);
      }
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

function clampBound(bound: number, size: number): number {
  return Math.min(size, Math.max(0, bound < 0 ? bound + size : bound));
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
      const moved = indices.map((index) => kept.indexOf(index)).filter((index) => index >= 0);
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
