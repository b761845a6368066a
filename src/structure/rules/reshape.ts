import { elementCount } from '../../formats/model.ts';
import { setIntegers } from '../../graph/messages.ts';
import type { OnnxValue } from '../../graph/onnx-model.ts';
import { INFERRED, OPEN } from '../graph-edit.ts';
import { mergeAxes, regroupAxes, splitAxis } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

/** Axes of the input and of the output that make up the same stretch of numbers. */
interface Stretch {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Sizes of the axes of a shape in both runs. */
type Sizes = readonly (readonly [number, number])[];

/** The smallest stretches that two shapes fall into in both runs; null where they do not. */
function stretchesOf(from: Sizes, to: Sizes): Stretch[] | null {
  const stretches: Stretch[] = [];
  let [i, j] = [0, 0];
  while (i < from.length && j < to.length) {
    const [firstFrom, firstTo] = [i, j];
    let [[a, a2], [b, b2]] = [from[i++], to[j++]];
    while (a !== b || a2 !== b2) {
      const isShort = a * a2 <= b * b2;
      if (isShort ? i === from.length : j === to.length) return null;
      const [size, other] = isShort ? from[i++] : to[j++];
      if (isShort) [a, a2] = [a * size, a2 * other];
      else [b, b2] = [b * size, b2 * other];
    }
    stretches.push({ from: range(firstFrom, i), to: range(firstTo, j) });
  }
  return stretches;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** The axes of the output of an operator that keeps the order of the numbers; null where sizes do not tell. */
function reshapedAxes(at: AnalysedNode): LaneAxis[] | null {
  const [from, to, x] = [at.sizes(0), at.outputSizes(), at.axes(0)];
  const [others, othersTo] = [at.facts.otherSizesOf(at.inputName(0)), at.facts.otherSizesOf(at.outputName())];
  if (elementCount(from) === 0 || elementCount(others) === 0) return null;
  const stretches = stretchesOf(
    from.map((size, axis) => [size, others[axis]]),
    to.map((size, axis) => [size, othersTo[axis]]),
  );
  if (stretches === null) return null;
  const axes: LaneAxis[] = to.map(() => null);
  const obstacle = at.obstacle('cannot be told apart after a reshape');
  for (const stretch of stretches) {
    const own = stretch.from.map((axis) => x[axis]);
    const sizes = stretch.from.map((axis) => from[axis]);
    const wanted = stretch.to.map((axis) => to[axis]);
    const isSame = own.length === 1 && wanted.length === 1;
    const parts = isSame ? own : regroupAxes(at.lanes, own, sizes, wanted, obstacle);
    for (const [i, axis] of stretch.to.entries()) axes[axis] = parts[i];
  }
  return axes;
}

const reshape: StructureRule = (at) => {
  const axes = reshapedAxes(at);
  if (axes === null) return at.frozen('has sizes that do not say where they go');
  const to = at.outputSizes();
  const inferred = inferredAxis(at, axes);
  const copiesZeros = at.integer('allowzero', 0) === 0;
  at.onRemoval((edit) => {
    if (![...axes, ...at.axes(0)].some((axis) => edit.shrinks(axis))) return;
    const sizes = to.map((size, axis) => {
      if (axis === inferred) return INFERRED;
      if (!at.isOpen(axis)) return edit.kept(axes[axis], size).length;
      const isCopied = copiesZeros && at.isInputSize(axis, axis) && !edit.shrinks(at.axes(0)[axis]);
      return isCopied ? 0 : OPEN;
    });
    edit.setSizes(at.node.proto, 1, sizes);
  });
  return [axes];
};

/**
 * The axis of the output whose size has to be inferred after removal: an open one that shrinks, or the only open one. Null where every open size can be taken from
 * where the model takes it. Of several open ones that shrink, none can.
 */
function inferredAxis(at: AnalysedNode, axes: readonly LaneAxis[]): number | null {
  const open = [...axes.keys()].filter((axis) => at.isOpen(axis));
  const shrinking = open.filter((axis) => axes[axis] !== null);
  if (shrinking.length === 0) return open.length === 1 ? open[0] : null;
  const [first] = shrinking;
  const target = at.node.inputs[1] ? knownElements(at, at.node.inputs[1]) : [];
  const isInferred = (axis: number) => target[axis] === -1;
  if (shrinking.length === 1 && !open.some((axis) => axis !== first && isInferred(axis))) return first;
  for (const axis of shrinking)
    at.freeze(axes[axis], 'has a size that depends on the input, beside others that do');
  return null;
}

/** The integers of a vector one by one, null where they are not constant: exporters put it together from parts, and of parts. */
function knownElements({ facts }: AnalysedNode, vector: OnnxValue): readonly (number | null)[] {
  const elements: (number | null)[] = [];
  const open = [vector];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const { name, producer } = value;
    const known = facts.integersOf(name);
    const parts = producer?.is('Concat') ? producer.inputs : [];
    const length = facts.sizesOf(name)[0] ?? 1;
    if (known === null && parts.length > 0 && length > 0) {
      for (const part of parts.toReversed()) if (part) open.push(part);
    } else for (let i = 0; i < length; i++) elements.push(known?.[i] ?? null);
  }
  return elements;
}

const flatten: StructureRule = (at) => {
  const [x, sizes] = [at.axes(0), at.sizes(0)];
  const axis = at.axis('axis', 1, sizes.length);
  return [[mergeAxes(x.slice(0, axis), sizes.slice(0, axis)), mergeAxes(x.slice(axis), sizes.slice(axis))]];
};

const squeeze: StructureRule = (at) => {
  const [x, sizes] = [at.axes(0), at.sizes(0)];
  const given = at.integers('axes') ?? at.integersOf(1);
  if (given === null && at.hasInput(1)) return at.frozen('is squeezed by axes that are not constant');
  const gone =
    given?.map((axis) => (axis < 0 ? axis + sizes.length : axis)) ??
    range(0, sizes.length).filter((axis) => sizes[axis] === 1);
  at.onRemoval((edit) => {
    // Another axis may be left with one position.
    if (given !== null || !x.some((axis) => edit.shrinks(axis))) return;
    if (at.facts.opset < 13) setIntegers(at.node.proto, 'axes', gone);
    else edit.setInput(at.node.proto, 1, gone);
  });
  return [x.filter((_, axis) => !gone.includes(axis))];
};

const unsqueeze: StructureRule = (at) => {
  const rank = at.outputSizes().length;
  const given = at.integers('axes') ?? at.integersOf(1);
  if (given === null) return at.frozen('is unsqueezed by axes that are not constant');
  const added = given.map((axis) => (axis < 0 ? axis + rank : axis));
  const rest = [...at.axes(0)];
  return [range(0, rank).map((axis) => (added.includes(axis) ? null : (rest.shift() ?? null)))];
};

/** Blocks of channels become places, or places blocks of channels. */
const depthToSpace: StructureRule = (at) => {
  const x = at.axes(0);
  const block = at.integer('blocksize', 1);
  const channels = at.sizes(0)[1] / (block * block);
  const isBlockFirst = at.text('mode', 'DCR') === 'DCR';
  const sizes = isBlockFirst ? [block, block, channels] : [channels, block, block];
  const parts = splitAxis(at.lanes, x[1], sizes, at.obstacle('becomes a spatial axis'));
  const kept = parts[isBlockFirst ? 2 : 0];
  for (const part of parts) if (part !== kept) at.freeze(part, 'becomes a spatial axis');
  return [[x[0], kept, ...at.fixed(x.slice(2), 'is a spatial axis')]];
};

const spaceToDepth: StructureRule = (at) => {
  const x = at.axes(0);
  const block = at.integer('blocksize', 1);
  const channels = mergeAxes([null, null, x[1]], [block, block, at.sizes(0)[1]]);
  return [[x[0], channels, ...at.fixed(x.slice(2), 'is a spatial axis')]];
};

const transpose: StructureRule = (at) => {
  const x = at.axes(0);
  const perm = at.integers('perm') ?? range(0, x.length).reverse();
  return [perm.map((axis) => x[axis])];
};

/** Operators that keep every number and only say differently where it is. */
export const RESHAPE_RULES: StructureRules = new Map<string, StructureRule>([
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Transpose', transpose],
  ['DepthToSpace', depthToSpace],
  ['SpaceToDepth', spaceToDepth],
]);
