import { OPEN } from '../graph-edit.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

/**
 * Whatever is computed of sizes stays what it was in the dense model, `sqrt(d)` and `d / heads` alike: a size that is read, and no constant by then, is reported as
 * it was. What that would be is not known of an axis that both follows the input and shrinks.
 */
const shape: StructureRule = (at) => {
  for (const axis of at.axes(0)) at.leaveOut(axis);
  const rank = at.axes(0).length;
  const start = Math.max(0, at.axis('start', 0, rank));
  const end = at.has('end') ? at.axis('end', rank, rank) : rank;
  const reported = at.axes(0).slice(start, end);
  const [sizes, others] = [at.sizes(0), at.facts.otherSizesOf(at.inputName(0))].map((all) =>
    all.slice(start, end),
  );
  const isOpen = (position: number) => sizes[position] !== others[position];
  const read = positionsRead(at, sizes.length);
  for (const position of read.filter(isOpen))
    at.freeze(reported[position], 'has a size that follows the input and is read');
  at.onRemoval((edit) => {
    if (!read.some((position) => edit.shrinks(reported[position]))) return;
    const told = sizes.map((size, position) => (isOpen(position) ? OPEN : size));
    edit.setOutputSizes(at.node.proto, told);
  });
  return [at.plain(0)];
};

/** Positions of the output that are read, all where that is not sure. What only makes constants does not count. */
function positionsRead(at: AnalysedNode, length: number): number[] {
  const all = [...Array(length).keys()];
  const [value] = at.node.outputs;
  const { graph } = at.node;
  if (!value || graph.gives(value)) return all;
  const uses = value.uses.filter(({ node }) => !at.facts.isFolded(node));
  const read = uses.flatMap(({ node, input }) => {
    const isPicked = node.graph === graph && node.op === 'Gather' && input === 0;
    const indices = isPicked ? at.facts.integersOf(node.inputs[1]?.name ?? '') : null;
    return indices?.map((index) => (index < 0 ? index + length : index)) ?? all;
  });
  return [...new Set(read)];
}

/** How many there are would be another number. */
const size: StructureRule = (at) => {
  at.fixed(at.axes(0), 'has its positions counted');
  return [at.plain(0)];
};

/** Numbers that come from nowhere, or from numbers that are no weights. */
const made: StructureRule = (at) => at.node.outputs.map((_, output) => at.plain(output));

/** Operators whose outputs are sizes, or know nothing of the numbers that go in. */
export const SIZE_RULES: StructureRules = new Map<string, StructureRule>([
  ['Shape', shape],
  ['Size', size],
  ...['Range', 'Constant', 'RandomNormal', 'RandomUniform'].map((operator): [string, StructureRule] => [
    operator,
    made,
  ]),
]);
