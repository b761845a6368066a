import { setIntegers } from '../../graph/messages.ts';
import { mergeAxes, splitAxis } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { broadcastAxes, type Operand, operandOf, tieBroadcast } from './elementwise.ts';

const KERNEL = 'is a position of a kernel';
const SPATIAL = 'is a spatial axis';
const GROUP = 'is one of several groups';

/** Y[n, o, ...] sums X[n, i, ...] W[o, i, k] over the channels of o's group and the kernel. */
export const conv: StructureRule = (at) => {
  const [x, w] = [at.axes(0), at.axes(1)];
  const group = at.integer('group', 1);
  at.fixed(w.slice(2), KERNEL);
  if (group === 1) at.tie(x[1], w[1]);
  else tieGroups(at, group);
  at.contract(0, 1);
  if (at.hasInput(2)) at.tie(at.axes(2)[0], w[0]);
  return [[x[0], w[0], ...at.fixed(x.slice(2), SPATIAL)]];
};

/** Channels of input and output are `group` x some: groups go as a whole, or what stays must be the same in all of them. */
function tieGroups(at: AnalysedNode, group: number): void {
  const [x, w] = [at.axes(0), at.axes(1)];
  const [channels, units] = [at.sizes(0)[1], at.sizes(1)[0]];
  const obstacle = at.obstacle(GROUP);
  const [unitGroups] = splitAxis(at.lanes, w[0], [group, units / group], obstacle);
  const [channelGroups, withinGroup] = splitAxis(at.lanes, x[1], [group, channels / group], obstacle);
  if (x[1] === null) {
    at.freeze(unitGroups, 'is one of several groups of an input that cannot shrink');
    at.freeze(w[1], 'belongs to an input that cannot shrink');
  } else {
    at.tie(unitGroups, channelGroups);
    if (channels > group) at.tie(withinGroup, w[1]);
  }
  shrinkGroups(at, unitGroups, group);
}

function shrinkGroups(at: AnalysedNode, groups: LaneAxis, count: number): void {
  at.onRemoval((edit) => {
    if (edit.shrinks(groups)) setIntegers(at.node.proto, 'group', edit.kept(groups, count).length);
  });
}

/** Y[n, g x o, ...] of X[n, g x i, ...] and W[g x i, o, k]. */
const convTranspose: StructureRule = (at) => {
  const [x, w] = [at.axes(0), at.axes(1)];
  const group = at.integer('group', 1);
  const [channels, units] = at.sizes(1);
  at.fixed(w.slice(2), KERNEL);
  at.tie(x[1], w[0]);
  at.contract(0, 1);
  const [groups] = splitAxis(at.lanes, w[0], [group, channels / group], at.obstacle(GROUP));
  const output = group === 1 ? w[1] : mergeAxes([groups, w[1]], [group, units]);
  if (at.hasInput(2)) at.tie(at.axes(2)[0], output);
  shrinkGroups(at, groups, group);
  return [[x[0], output, ...at.fixed(x.slice(2), SPATIAL)]];
};

/** Y = op(A) op(B) + C. */
export const gemm: StructureRule = (at) => {
  const [a, b] = [at.axes(0), at.axes(1)];
  const [transA, transB] = [at.integer('transA', 0), at.integer('transB', 0)];
  at.tie(a[transA ? 0 : 1], b[transB ? 1 : 0]);
  at.contract(0, transA ? 0 : 1);
  const output = [a[transA ? 1 : 0], b[transB ? 0 : 1]];
  if (at.hasInput(2)) tieBroadcast(at, 2, output);
  return [output];
};

export const matMul: StructureRule = (at) =>
  productOf(
    at,
    [0, 1].map((input) => [...at.axes(input).keys()]),
  );

/** Products of matrices, the axes before the last two broadcast: of the two inputs with their axes in the order that is given for each. */
export function productOf(at: AnalysedNode, orders: readonly (readonly number[])[]): LaneAxis[][] {
  const [a, b] = orders.map((order, input) => pickAxes(operandOf(at, input), order));
  const [rankA, rankB] = [a.axes.length, b.axes.length];
  const [summedA, summedB] = [a.axes[rankA - 1], b.axes[Math.max(0, rankB - 2)]];
  at.tie(summedA, summedB);
  at.contract(0, orders[0][rankA - 1]);
  const batch = broadcastAxes(
    at,
    [a, b].map((operand) => pickAxes(operand, [...operand.axes.keys()].slice(0, -2))),
  );
  const rows = rankA > 1 ? [a.axes[rankA - 2]] : [];
  const columns = rankB > 1 ? [b.axes[rankB - 1]] : [];
  if (at.facts.isActivation(at.inputName(0)) && at.facts.isActivation(at.inputName(1))) {
    for (const axis of batch) at.tag(axis, 'head');
    // Without heads the last axis is the units of a layer, such as a graph network's, which averages over nodes.
    const isInHeads = batch.some((axis) => axis !== null);
    for (const axis of [summedA, ...(isInHeads ? columns : [])]) at.tag(axis, 'head_width');
  }
  return [[...batch, ...rows, ...columns]];
}

function pickAxes({ axes, sizes }: Operand, order: readonly number[]): Operand {
  return { axes: order.map((axis) => axes[axis]), sizes: order.map((axis) => sizes[axis]) };
}

/** Layers: they sum over an axis of what they are given and have one of their own. */
export const LAYER_RULES: StructureRules = new Map<string, StructureRule>([
  ['Conv', conv],
  ['ConvTranspose', convTranspose],
  ['Gemm', gemm],
  ['MatMul', matMul],
]);
