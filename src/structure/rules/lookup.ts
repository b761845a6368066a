import type { OnnxValue } from '../../graph/onnx-model.ts';
import { pickPositions } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

const READ = 'is looked up by index';
const SINGLE = 'is the one position that is looked up';
const WRITTEN = 'is written to by index';
const PART = 'is looked up in part';
const OPEN_INDICES = 'has a size that follows the input, and indices of its own for each position';
const INDICES = 1;
/** Operators that give the numbers of their first input on, as they are. */
const PASSING = new Set(['Cast', 'Identity']);

/**
 * An axis along which the indices go with the data, position by position: they lose what it loses. Where its size follows the input, that is told from the data once they are there, and the indices must be
 * the same for all positions.
 */
function followed(at: AnalysedNode, data: number, axis: number): LaneAxis {
  const own = at.axes(data)[axis];
  if (own === null) return null;
  const isOpen = sizesOf(at, data, axis)[0] !== sizesOf(at, data, axis)[1];
  if (sizesOf(at, data, axis).join() !== sizesOf(at, INDICES, axis).join()) return at.fixed([own], PART)[0];
  if (isOpen && !isRepeated(at.node.inputs[INDICES], axis, at)) return at.fixed([own], OPEN_INDICES)[0];
  at.onRemoval((edit) => {
    if (!edit.shrinks(own)) return;
    if (isOpen) edit.cutInput(at.node.proto, INDICES, axis, data);
    else edit.pickInput(at.node.proto, INDICES, axis, edit.kept(own, own[0].length));
  });
  return own;
}

/** In both runs. */
function sizesOf(at: AnalysedNode, input: number, axis: number): number[] {
  const name = at.inputName(input);
  return [at.facts.sizesOf(name)[axis], at.facts.otherSizesOf(name)[axis]];
}

/** Whether an Expand repeats one position of a value along an axis. */
function isRepeated(value: OnnxValue | null | undefined, axis: number, at: AnalysedNode): boolean {
  let producer = value?.producer ?? null;
  while (producer && producer.domain === '' && PASSING.has(producer.op))
    producer = producer.inputs[0]?.producer ?? null;
  const [source] = producer?.is('Expand') ? producer.inputs : [];
  if (!source || !value) return false;
  const sizes = at.facts.sizesOf(source.name);
  const own = axis - at.facts.sizesOf(value.name).length + sizes.length;
  return own < 0 || sizes[own] === 1;
}

/** Of every place along the other axes, the positions along one that its own indices name. */
const gatherElements: StructureRule = (at) => {
  const x = at.axes(0);
  const along = at.axis('axis', 0, x.length);
  at.freeze(x[along], READ);
  return [x.map((_, axis) => (axis === along ? null : followed(at, 0, axis)))];
};

/** Of the axes behind the batch axes as many are looked up as each index has numbers. */
const gatherNd: StructureRule = (at) => {
  const [x, indices] = [at.axes(0), at.sizes(INDICES)];
  const first = at.integer('batch_dims', 0);
  const depth = indices[indices.length - 1];
  const batch = x.slice(0, first).map((_, axis) => followed(at, 0, axis));
  const found = indices.slice(first, -1).map((): LaneAxis => null);
  const given = at.integersOf(INDICES);
  const isList = first === 0 && depth === 1 && found.length < 2;
  if (isList && x[0] !== null && given !== null) {
    const size = at.sizes(0)[0];
    const picked = given.map((index) => (index < 0 ? index + size : index));
    at.leaveOut(x[0]);
    if (picked.length === 1) at.freeze(x[0], SINGLE, (position) => position === picked[0]);
    else found[0] = pickPositions(x[0], picked);
    at.onRemoval((edit) => {
      if (!edit.shrinks(x[0])) return;
      const kept = edit.kept(x[0], size);
      const moved = picked.map((index) => kept.indexOf(index)).filter((index) => index >= 0);
      edit.setInput(at.node.proto, INDICES, moved, found.length === 0 ? [1] : [moved.length, 1]);
    });
  } else {
    at.fixed(x.slice(first, first + depth), READ);
  }
  return [[...batch, ...found, ...x.slice(first + depth)]];
};

/** Writes updates over, or onto, those positions along one axis that their own indices name. */
const scatterElements: StructureRule = (at) => {
  const [x, updates] = [at.axes(0), at.axes(2)];
  const along = at.axis('axis', 0, x.length);
  at.fixed([x[along], updates[along]], WRITTEN);
  for (const [axis, own] of x.entries()) {
    if (axis === along) continue;
    at.tie(own, updates[axis]);
    followed(at, 0, axis);
  }
  return [x];
};

/** The same, of all axes that each index has numbers for. */
const scatterNd: StructureRule = (at) => {
  const [x, updates] = [at.axes(0), at.axes(2)];
  const depth = at.sizes(INDICES).at(-1) ?? 0;
  const written = updates.length - (x.length - depth);
  at.fixed([...x.slice(0, depth), ...updates.slice(0, written)], WRITTEN);
  for (const [axis, own] of x.entries()) if (axis >= depth) at.tie(own, updates[axis - depth + written]);
  return [x];
};

/** Operators that read or write single numbers by index. */
export const LOOKUP_RULES: StructureRules = new Map<string, StructureRule>([
  ['GatherElements', gatherElements],
  ['GatherND', gatherNd],
  ['Scatter', scatterElements],
  ['ScatterElements', scatterElements],
  ['ScatterND', scatterNd],
]);
