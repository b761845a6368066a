import { type GraphEdit, OPEN } from '../graph-edit.ts';
import { concatAxes } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

const SPATIAL = 'is a spatial axis';

/** Of what is repeated there may be as many as whatever reads it has. */
const expand: StructureRule = (at) => {
  const [x, sizes, to] = [at.axes(0), at.sizes(0), at.outputSizes()];
  const added = to.length - sizes.length;
  const isOwn = (axis: number) => axis >= added && sizes[axis - added] === to[axis];
  const mayBeSizes = at.facts.isInteger(at.outputName());
  const axes = to.map((size, axis) => {
    if (isOwn(axis)) return x[axis - added];
    return mayBeSizes || at.isOpen(axis) ? null : at.lanes.createAxis(size);
  });
  at.onRemoval((edit) => {
    if (!axes.some((axis) => edit.shrinks(axis))) return;
    // Where the size is the input's own a 1 leaves it as it is.
    const target = sizesLeft(at, axes, edit).map((size, axis) => (isOwn(axis) ? 1 : size));
    edit.setSizes(at.node.proto, 1, target);
  });
  return [axes];
};

const tile: StructureRule = (at) => {
  const [sizes, to] = [at.sizes(0), at.outputSizes()];
  return [
    at.axes(0).map((axis, i) => {
      const repeats = to[i] / sizes[i];
      return repeats === 1 || axis === null
        ? axis
        : concatAxes(Array(repeats).fill(axis), Array(repeats).fill(sizes[i]));
    }),
  ];
};

/** Numbers made up in the shape that is given. */
const constantOfShape: StructureRule = (at) => {
  const to = at.outputSizes();
  if (!at.facts.isFloat(at.outputName())) return [at.plain(0)];
  const axes = to.map((size, axis) => (at.isOpen(axis) ? null : at.lanes.createAxis(size)));
  at.onRemoval((edit) => {
    if (axes.some((axis) => edit.shrinks(axis))) edit.setSizes(at.node.proto, 0, sizesLeft(at, axes, edit));
  });
  return [axes];
};

/** Sizes of the output after removal. */
function sizesLeft(at: AnalysedNode, axes: readonly LaneAxis[], edit: GraphEdit): (number | typeof OPEN)[] {
  return at.outputSizes().map((size, axis) => (at.isOpen(axis) ? OPEN : edit.kept(axes[axis], size).length));
}

const pad: StructureRule = (at) => {
  const [x, sizes, to] = [at.axes(0), at.sizes(0), at.outputSizes()];
  const before = padsBefore(at);
  const isConstant = at.text('mode', 'constant') === 'constant';
  return [
    x.map((axis, i) => {
      const start = before?.[i] ?? 0;
      const after = to[i] - sizes[i] - start;
      if (before !== null && start === 0 && after === 0) return axis;
      if (before === null || !isConstant || start < 0 || after < 0) return at.fixed([axis], 'is padded')[0];
      return axis && concatAxes([null, axis, null], [start, sizes[i], after]);
    }),
  ];
};

/** How many positions are put before each axis; null where that is not constant. */
function padsBefore(at: AnalysedNode): readonly number[] | null {
  const rank = at.axes(0).length;
  const pads = at.integers('pads') ?? at.integersOf(1);
  const axes = at.hasInput(3) ? at.integersOf(3) : [...Array(rank).keys()];
  if (pads === null || axes === null) return null;
  const before = Array.from({ length: rank }, () => 0);
  for (const [place, axis] of axes.entries()) before[axis < 0 ? axis + rank : axis] = pads[place];
  return before;
}

/** Batches and channels pass where their number stays. */
const resize: StructureRule = (at) => {
  const [sizes, to] = [at.sizes(0), at.outputSizes()];
  const isCropped = at.text('coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  const named = at.hasInput(3) ? (at.integers('axes') ?? []) : [];
  const passes = (axis: number) =>
    axis < 2 &&
    sizes[axis] === to[axis] &&
    !isCropped &&
    !named.some((each) => each === axis || each === axis - sizes.length);
  const axes = at.axes(0).map((axis, i) => (passes(i) ? axis : at.fixed([axis], 'is resized')[0]));
  for (const input of at.givenInputs.slice(1)) at.fixed(at.axes(input), 'is a scale');
  if (at.hasInput(3) && !at.has('axes')) {
    at.onRemoval((edit) => {
      if (axes.some((axis) => edit.shrinks(axis))) edit.setSizes(at.node.proto, 3, sizesLeft(at, axes, edit));
    });
  }
  return [axes];
};

/** Channels are sampled at the places that the second input names. */
const sampled: StructureRule = (at) => {
  const x = at.axes(0);
  at.fixed([x[0], ...x.slice(2)], SPATIAL);
  for (const input of at.givenInputs.slice(1)) at.fixed(at.axes(input), 'is a place');
  return [at.plain(0).map((axis, i) => (i === 1 ? x[1] : axis))];
};

/** Operators that repeat numbers, surround them with others, or make as many as wanted of them. */
export const SPREAD_RULES: StructureRules = new Map<string, StructureRule>([
  ['Expand', expand],
  ['Tile', tile],
  ['ConstantOfShape', constantOfShape],
  ['Pad', pad],
  ['Resize', resize],
  ['Upsample', resize],
  ['GridSample', sampled],
  ['RoiAlign', sampled],
]);
