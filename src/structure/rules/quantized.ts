import { setIntegers } from '../../graph/messages.ts';
import { packedLayout, zeroPointsPerRow } from '../../graph/weights/packed-weights.ts';
import { mergeAxes } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { elementwise, passing } from './elementwise.ts';
import { concat } from './indexing.ts';
import { conv, gemm, matMul } from './layer.ts';
import { pool } from './reduce.ts';

/** Scales and zero points of an axis go with it; a single one stays. */
function tieParameters(at: AnalysedNode, inputs: readonly number[], axis: LaneAxis): void {
  for (const input of inputs) {
    const sizes = at.hasInput(input) ? at.sizes(input) : [];
    for (const [i, size] of sizes.entries()) if (size > 1) at.tie(axis, at.axes(input)[i]);
  }
}

/** Blocks of `block` positions as an axis of `size` positions: those of a block have its lanes. */
export function spreadBlocks(blocks: LaneAxis, block: number, size: number): LaneAxis {
  if (blocks === null) return null;
  return blocks.map((column) => Int32Array.from({ length: size }, (_, i) => column[Math.floor(i / block)]));
}

/** Scales by tensor, along an axis, or in blocks along it, which go as a whole. */
const quantize: StructureRule = (at) => {
  const x = at.axes(0);
  const axis = x.length > 0 ? at.axis('axis', 1, x.length) : 0;
  const block = at.integer('block_size', 0);
  for (const input of at.givenInputs.slice(1)) {
    const sizes = at.sizes(input);
    if (sizes.length <= 1 || block === 0) {
      tieParameters(at, [input], x[axis] ?? null);
      continue;
    }
    for (const [i, own] of at.axes(input).entries())
      at.tie(x[i], i === axis ? spreadBlocks(own, block, at.sizes(0)[i]) : own);
  }
  return [x];
};

/** The scale is taken of a range that zero always lies in: what is removed adds nothing to it where it is zero. */
function scaleOver(at: AnalysedNode, axes: readonly LaneAxis[]): void {
  for (const axis of axes.keys()) at.contract(0, axis);
}

const dynamicQuantize: StructureRule = (at) => {
  scaleOver(at, at.axes(0));
  return [at.axes(0), [], []];
};

/** An operator on floats whose inputs are among those of a quantized one. */
const like =
  (rule: StructureRule, inputs: (at: AnalysedNode) => readonly number[]): StructureRule =>
  (at) =>
    rule(at.withInputs(inputs(at)));

/** A convolution whose filters have scales or zero points of their own at `parameters`. */
const quantizedConv = (inputs: readonly number[], parameters: readonly number[]): StructureRule => {
  return (at) => {
    tieParameters(at, parameters, at.axes(inputs[1])[0]);
    return conv(at.withInputs(inputs));
  };
};

/** A product of matrices: what belongs to the rows of the first, and to the columns of the second. */
const quantizedProduct = (
  inputs: readonly [number, number],
  rows: readonly number[],
  columns: readonly number[],
): StructureRule => {
  return (at) => {
    tieParameters(at, rows, at.axes(inputs[0]).at(-2) ?? null);
    tieParameters(at, columns, at.axes(inputs[1]).at(-1) ?? null);
    return matMul(at.withInputs(inputs));
  };
};

const dynamicProduct: StructureRule = (at) => {
  scaleOver(at, at.axes(0).slice(0, -1));
  return quantizedProduct([0, 1], [], [2, 3, 4])(at);
};

const quantizedGemm: StructureRule = (at) => {
  const units = at.integer('transB', 0) !== 0 ? 0 : 1;
  tieParameters(at, [4, 5], at.axes(3)[units]);
  return gemm(at.withInputs([0, 3, 6]));
};

/** The inputs that have a scale and a zero point behind them, from the first of them on. */
const triplets = (first: number) => (at: AnalysedNode) =>
  at.givenInputs.filter((input) => input >= first && (input - first) % 3 === 0);

/** `[units, features]` packed by rows of blocks, of which each has a scale; zero points fill whole bytes of a row. */
const matMulNBits: StructureRule = (at) => {
  const layout = packedLayout(at.node);
  if (layout === null || at.hasInput(4)) return at.frozen('has its weights in another order');
  const { units, features, blockSize, blocks, bits } = layout;
  const [x, [unit, block, place]] = [at.axes(0), at.axes(1)];
  const summed = x.length - 1;
  at.freeze(place, 'is a place within a block');
  const places = spreadBlocks(block, blockSize, features);
  at.tie(x[summed], places);
  at.contract(0, summed);
  tieGrid(at, 2, [unit, block], [units, blocks]);
  if (at.hasInput(3)) {
    const perByte = 8 / bits;
    const bytes = zeroPointsPerRow(layout) / perByte;
    const own = at.sizes(3).length > 1 ? at.axes(3)[1] : at.lanes.createAxis(bytes);
    if (perByte > 1) at.tie(block, spreadBlocks(own, perByte, blocks));
    tieGrid(at, 3, [unit, perByte > 1 ? own : block], [units, bytes]);
  }
  tieParameters(at, [5], unit);
  at.onRemoval((edit) => {
    setIntegers(at.node.proto, 'K', edit.kept(places, features).length);
    setIntegers(at.node.proto, 'N', edit.kept(unit, units).length);
  });
  return [[...x.slice(0, -1), unit]];
};

/** Numbers of a grid, stored with an axis for each side or as one vector. */
function tieGrid(
  at: AnalysedNode,
  input: number,
  sides: readonly LaneAxis[],
  sizes: readonly number[],
): void {
  const own = at.axes(input);
  if (own.length === 1) at.tie(own[0], mergeAxes(sides, sizes));
  else for (const [i, axis] of own.entries()) at.tie(axis, sides[i]);
}

const quantizedPool: StructureRule = (at) =>
  at.integer('channels_last', 0) === 0 ? pool(at.withInputs([0])) : at.frozen('has its channels last');

const MICROSOFT: StructureRules = new Map<string, StructureRule>([
  ['QuantizeLinear', quantize],
  ['DequantizeLinear', quantize],
  ['QGemm', quantizedGemm],
  ['DynamicQuantizeMatMul', dynamicProduct],
  ['MatMulIntegerToFloat', quantizedProduct([0, 1], [2, 4], [3, 5, 6])],
  ['MatMulNBits', matMulNBits],
  ['QLinearAdd', like(elementwise, triplets(0))],
  ['QLinearMul', like(elementwise, triplets(0))],
  ['QLinearConcat', like(concat, triplets(2))],
  ['QLinearAveragePool', quantizedPool],
  ['QLinearGlobalAveragePool', quantizedPool],
  ['QLinearLeakyRelu', passing],
  ['QLinearSigmoid', passing],
]);

/** Numbers with scales: how these are made, and layers that compute with them. */
export const QUANTIZED_RULES: StructureRules = new Map<string, StructureRule>([
  ['QuantizeLinear', quantize],
  ['DequantizeLinear', quantize],
  ['DynamicQuantizeLinear', dynamicQuantize],
  ['QLinearConv', quantizedConv([0, 3, 8], [4, 5])],
  ['ConvInteger', quantizedConv([0, 1], [3])],
  ['QLinearMatMul', quantizedProduct([0, 3], [1, 2], [4, 5])],
  ['MatMulInteger', quantizedProduct([0, 1], [2], [3])],
  ...[...MICROSOFT].map(([name, rule]): [string, StructureRule] => [`com.microsoft.${name}`, rule]),
]);
