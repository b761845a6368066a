import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { passingBut } from './elementwise.ts';

/** Sums, to which what is removed adds nothing where it is zero. */
const ADDITIVE = new Set(['ReduceSum', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare', 'ReduceLogSum']);

const reduce: StructureRule = (at) => {
  const x = at.axes(0);
  const reduced = reducedAxes(at);
  if (reduced === null) return at.frozen('is reduced over axes that are not constant');
  for (const axis of reduced) {
    if (ADDITIVE.has(at.node.op)) at.contract(0, axis);
    else at.freeze(x[axis], 'is reduced over, and the result depends on how many there are');
  }
  const keepsAxes = at.integer('keepdims', 1) === 1;
  return [x.flatMap((axis, i): LaneAxis[] => (!reduced.includes(i) ? [axis] : keepsAxes ? [null] : []))];
};

function reducedAxes(at: AnalysedNode): number[] | null {
  const rank = at.axes(0).length;
  const given = at.integers('axes') ?? at.integersOf(1);
  if (given === null && at.hasInput(1)) return null;
  const axes = (given ?? []).map((axis) => (axis < 0 ? axis + rank : axis));
  if (axes.length > 0) return axes;
  return at.integer('noop_with_empty_axes', 0) === 1 ? [] : [...Array(rank).keys()];
}

export const pool: StructureRule = (at) => {
  const x = at.axes(0);
  const axes = [x[0], x[1], ...at.fixed(x.slice(2), 'is a spatial axis')];
  if (at.node.outputs[1]) at.fixed(x.slice(0, 2), 'is counted through by indices');
  return at.node.outputs.map(() => axes);
};

const POSITIONS = 'has positions that are the result';

const argMax: StructureRule = (at) => {
  const x = at.axes(0);
  const along = at.axis('axis', 0, x.length);
  at.freeze(x[along], POSITIONS);
  const keepsAxis = at.integer('keepdims', 1) === 1;
  return [x.flatMap((axis, i): LaneAxis[] => (i !== along ? [axis] : keepsAxis ? [null] : []))];
};

const topK: StructureRule = (at) => {
  const x = at.axes(0);
  const along = at.axis('axis', -1, x.length);
  at.freeze(x[along], POSITIONS);
  const axes = x.map((axis, i) => (i === along ? null : axis));
  return [axes, axes];
};

const cumSum: StructureRule = (at) => {
  const x = at.axes(0);
  const along = at.integersOf(1);
  if (along === null) return at.frozen('is summed up along an axis that is not constant');
  at.freeze(x.at(along[0]) ?? null, 'is summed up in order');
  return [x];
};

export const REDUCE_RULES: StructureRules = new Map<string, StructureRule>([
  ...['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'].map(
    (name): [string, StructureRule] => [`Reduce${name}`, reduce],
  ),
  ...['MaxPool', 'AveragePool', 'LpPool', 'GlobalMaxPool', 'GlobalAveragePool', 'GlobalLpPool'].map(
    (name): [string, StructureRule] => [name, pool],
  ),
  ['ArgMax', argMax],
  ['ArgMin', argMax],
  ['TopK', topK],
  ['CumSum', cumSum],
  ['Trilu', passingBut('has a triangle taken of it', (x) => x.slice(-2))],
]);
