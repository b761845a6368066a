import type { ValueUse } from '../../formats/onnx/graph.ts';
import { OPEN } from '../graph-edit.ts';
import type { RuleContext, StructureRule, StructureRules } from '../rule.ts';

/** Inputs that are sizes, by operator: its rule gives those that shrink anew. */
const SIZE_INPUTS: ReadonlyMap<string, number> = new Map([
  ['Reshape', 1],
  ['Expand', 1],
  ['ConstantOfShape', 0],
]);

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
  const uses = usesThatStay(at);
  for (const position of positionsRead(at, uses, sizes.length).filter(isOpen))
    at.freeze(reported[position], 'has a size that follows the input and is computed with');
  const computedWith = uses?.filter(({ node, input }) => SIZE_INPUTS.get(node.op) !== input) ?? null;
  const read = positionsRead(at, computedWith, sizes.length);
  at.onRemoval((edit) => {
    if (!read.some((position) => edit.shrinks(reported[position]))) return;
    edit.setOutputSizes(
      at.node.proto,
      sizes.map((size, position) => (isOpen(position) ? OPEN : size)),
    );
  });
  return [at.plain(0)];
};

/** Null where anyone may read it. */
function usesThatStay(at: RuleContext): readonly ValueUse[] | null {
  const [value] = at.node.outputs;
  const { graph } = at.node;
  if (!value || graph.outputs.includes(value) || value.uses.some(({ node }) => node.graph !== graph))
    return null;
  return value.uses.filter(({ node }) => !at.facts.isFolded(node));
}

/** Positions of a vector that are read; all where that is not sure. */
function positionsRead(at: RuleContext, uses: readonly ValueUse[] | null, length: number): number[] {
  const all = [...Array(length).keys()];
  const read = uses?.flatMap(({ node, input }) => {
    const indices = node.op === 'Gather' && input === 0 && at.facts.integersOf(node.inputs[1]?.name ?? '');
    return indices ? indices.map((index) => (index < 0 ? index + length : index)) : all;
  });
  return [...new Set(read ?? all)];
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
