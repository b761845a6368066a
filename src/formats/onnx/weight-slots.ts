import type { Shape } from './constant-rules.ts';
import type { OnnxNode } from './graph.ts';
import type { Frame } from './program.ts';
import { type AxisRole, type AxisRoles, createRoles } from './row-layout.ts';

/** An operator with weights, as it stands in the model. */
interface Consumer {
  readonly node: OnnxNode;
  readonly frame: Frame;
}

/** An input of an operator that a constant is a weight in. */
export interface WeightSlot {
  readonly input: number;
  /** The roles of the constant's axes; null where rows are not defined, `undefined` where it is no weight after all. */
  readonly roles: (shape: Shape, consumer: Consumer) => AxisRoles | undefined;
}

/** The inputs of an operator whose constants are weights; `com.microsoft` has onnxruntime's own and fused operators. */
export function weightSlotsOf(node: OnnxNode): readonly WeightSlot[] {
  if (node.domain === '') return STANDARD.get(node.op) ?? [];
  return node.domain === 'com.microsoft' ? (MICROSOFT.get(node.op) ?? []) : [];
}

/** `[..., units, summed]`. */
const rowsLast = (shape: Shape) => matrixRoles(shape, ['unit', 'sum']);
/** `[..., summed, units]`. */
const columnsLast = (shape: Shape) => matrixRoles(shape, ['sum', 'unit']);

/**
 * Batch axes are units of their own. A vector is no matrix, and neither is one in disguise (`[1, n, 1]`, the frequencies of rotary
 * embeddings), unless it was written as a matrix.
 */
function matrixRoles(shape: Shape, last: readonly [AxisRole, AxisRole]): AxisRoles | undefined {
  if (shape === null) return null;
  if (shape.length < 2) return undefined;
  if (shape.length > 2 && shape.filter((size) => size > 1).length < 2) return undefined;
  return createRoles(shape, [...shape.slice(2).map(() => 'unit' as const), ...last]);
}

/** `[units, ...summed]`: a convolution's filters. */
const filters = (shape: Shape) =>
  createRoles(
    shape,
    (shape ?? []).map((_, axis) => (axis === 0 ? 'unit' : 'sum')),
  );

/** `[groups * in, out, ...kernel]`. */
function transposedFilters(shape: Shape, { node, frame }: Consumer): AxisRoles {
  const groups = frame.integer(node, 'group', 1);
  if (shape === null || shape.length < 3 || groups < 1 || shape[0] % groups !== 0) return null;
  const [inputs, outputs, ...kernel] = shape;
  return createRoles(
    [groups, inputs / groups, outputs, ...kernel],
    ['unit', 'sum', 'unit', ...kernel.map(() => 'sum' as const)],
  );
}

/** `[directions, gates * hidden, in]`. */
const gates = (shape: Shape) => createRoles(shape, ['unit', 'unit', 'sum']);

/** Packed or otherwise laid out so that rows do not follow from the shape. */
const opaque = () => null;

/** A product with optional transposition of its left or right factor. */
function factor(side: 'left' | 'right', transpose: string): WeightSlot['roles'] {
  return (shape, { node, frame }) => {
    const isTransposed = frame.integer(node, transpose, 0) !== 0;
    return isTransposed === (side === 'left') ? columnsLast(shape) : rowsLast(shape);
  };
}

/** Labels of the output are units, the others are summed over. */
function einsumRoles(input: number): WeightSlot['roles'] {
  return (shape, { node, frame }) => {
    const equation = new TextDecoder().decode(frame.attribute(node, 'equation')?.s).replaceAll(' ', '');
    const [left, right] = equation.split('->');
    const labels = left.split(',')[input] ?? '';
    const isPlain = /^[a-z]+$/i.test(labels) && new Set(labels).size === labels.length;
    if (shape !== null && shape.length < 2) return undefined;
    if (!isPlain || right === undefined || right.includes('.')) return null;
    return createRoles(
      shape,
      [...labels].map((label) => (right.includes(label) ? 'unit' : 'sum')),
    );
  };
}

const slot = (input: number, roles: WeightSlot['roles']): WeightSlot => ({ input, roles });
const slots = (inputs: readonly number[], roles: WeightSlot['roles']) =>
  inputs.map((input) => slot(input, roles));
const bothFactors = (left: number, right: number) => [slot(left, rowsLast), slot(right, columnsLast)];
const gemm = (left: number, right: number) => [
  slot(left, factor('left', 'transA')),
  slot(right, factor('right', 'transB')),
];

const STANDARD: ReadonlyMap<string, readonly WeightSlot[]> = new Map([
  ['Gemm', gemm(0, 1)],
  ['MatMul', bothFactors(0, 1)],
  ['MatMulInteger', bothFactors(0, 1)],
  ['QLinearMatMul', bothFactors(0, 3)],
  ['Conv', [slot(1, filters)]],
  ['ConvInteger', [slot(1, filters)]],
  ['QLinearConv', [slot(3, filters)]],
  ['DeformConv', [slot(1, filters)]],
  ['ConvTranspose', [slot(1, transposedFilters)]],
  ['LSTM', slots([1, 2], gates)],
  ['GRU', slots([1, 2], gates)],
  ['RNN', slots([1, 2], gates)],
  ['Einsum', [slot(0, einsumRoles(0)), slot(1, einsumRoles(1))]],
]);

const MICROSOFT: ReadonlyMap<string, readonly WeightSlot[]> = new Map([
  ['FusedGemm', gemm(0, 1)],
  ['QGemm', gemm(0, 3)],
  ['FusedMatMul', gemm(0, 1)],
  ['TransposeMatMul', gemm(0, 1)],
  ['DynamicQuantizeMatMul', [slot(1, columnsLast)]],
  ['MatMulIntegerToFloat', bothFactors(0, 1)],
  ['MatMulNBits', [slot(1, opaque)]],
  ['MatMulBnb4', [slot(1, opaque)]],
  ['FusedConv', [slot(1, filters)]],
  ['Attention', [slot(1, columnsLast)]],
  ['QAttention', [slot(1, columnsLast)]],
  ['DynamicQuantizeLSTM', slots([1, 2], opaque)],
  ['MoE', slots([2, 4, 6], opaque)],
]);
