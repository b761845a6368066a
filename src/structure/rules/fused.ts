import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { broadcastAxes, elementwise, operandOf, tieBroadcast } from './elementwise.ts';
import { conv, gemm, productOf } from './layer.ts';
import { STATISTICS } from './norm.ts';

/** A convolution, to which a fourth input is added before an activation function. */
const fusedConv: StructureRule = (at) => {
  const [y] = conv(at);
  for (const [axis, added] of at.axes(3).entries()) at.tie(added, y[axis]);
  return [y];
};

/** A product of matrices that are transposed first. */
const fusedMatMul: StructureRule = (at) =>
  productOf(
    at,
    ['A', 'B'].map((name, input) => transposedOrder(at, name, at.axes(input).length)),
  );

/** `transBatch` puts the first axis before the last one, `trans` exchanges the last two; a vector stays. */
function transposedOrder(at: AnalysedNode, name: string, rank: number): number[] {
  const axes = [...Array(rank).keys()];
  if (rank < 2) return axes;
  const moved = at.integer(`transBatch${name}`, 0) === 0 ? axes : axes.toSpliced(rank - 1, 0, 0).slice(1);
  return at.integer(`trans${name}`, 0) === 0
    ? moved
    : [...moved.slice(0, -2), moved[rank - 1], moved[rank - 2]];
}

/** Normalizes the sum of two inputs, and of a bias, over the last axis; the last output is that sum. */
const skipNormalization: StructureRule = (at) => {
  const sum = broadcastAxes(at, [operandOf(at, 0), operandOf(at, 1)]);
  for (const input of at.givenInputs.slice(2)) tieBroadcast(at, input, sum);
  at.fixed(sum.slice(-1), STATISTICS);
  return at.node.outputs.map((_, output) => (output % 3 === 0 ? sum : [...sum.slice(0, -1), null]));
};

const embedding: StructureRule = (at) => at.frozen('is looked up by index and normalized');

/** What onnxruntime's optimizer makes of layers and what follows them. */
export const FUSED_RULES: StructureRules = new Map<string, StructureRule>([
  ['com.microsoft.FusedConv', fusedConv],
  ['com.microsoft.FusedGemm', gemm],
  ['com.microsoft.FusedMatMul', fusedMatMul],
  ['com.microsoft.TransposeMatMul', fusedMatMul],
  ...['BiasGelu', 'FastGelu', 'Gelu', 'QuickGelu'].map((operator): [string, StructureRule] => [
    `com.microsoft.${operator}`,
    elementwise,
  ]),
  ['com.microsoft.SkipLayerNormalization', skipNormalization],
  ['com.microsoft.SkipSimplifiedLayerNormalization', skipNormalization],
  ['com.microsoft.EmbedLayerNormalization', embedding],
]);
