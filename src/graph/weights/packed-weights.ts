import { elementCount, type Quantization, type QuantizationParameter } from '../../formats/model.ts';
import type { TensorHome } from '../../formats/onnx/external-data.ts';
import type { TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { createTensorData, dtypeOf, labelOf, parseShape } from '../../formats/onnx/tensor-data.ts';
import type { OnnxNode, OnnxValue } from '../onnx-model.ts';
import { storedOf } from './stored-of.ts';

/** How `MatMulNBits` has its weights `[N, K]` packed: by rows, each of whole blocks, the last padded. */
export interface PackedLayout {
  readonly units: number;
  readonly features: number;
  readonly bits: number;
  readonly blockSize: number;
  /** Of a row. */
  readonly blocks: number;
}

/** Null for other nodes, and for attributes that no weights have. */
export function packedLayout(node: OnnxNode): PackedLayout | null {
  if (node.op !== 'MatMulNBits' || node.domain !== 'com.microsoft') return null;
  const [units, features] = [node.integer('N', 0), node.integer('K', 0)];
  const [bits, blockSize] = [node.integer('bits', 4), node.integer('block_size', 0)];
  const isSound = units > 0 && features > 0 && blockSize > 0 && [2, 4, 8].includes(bits);
  return isSound ? { units, features, bits, blockSize, blocks: Math.ceil(features / blockSize) } : null;
}

/** Places of zero points in a row, which fills whole bytes. */
export function zeroPointsPerRow({ blocks, bits }: Pick<PackedLayout, 'blocks' | 'bits'>): number {
  return (Math.ceil((blocks * bits) / 8) * 8) / bits;
}

/** How a node reads packed weights from one of its inputs. */
interface PackedInput {
  readonly layout: PackedLayout;
  /** Numbers of a row, with those that pad it. */
  readonly rowLength: number;
  readonly scale: OnnxValue | null;
  readonly zeroPoint: OnnxValue | null;
  /** How far the zero point goes on from row to row, and from block to block, and how many there are. */
  readonly zeros: { readonly strides: readonly [number, number]; readonly n: number };
}

/** Experts' weights among the inputs of `QMoE`, and their zero points; scales come next to weights. */
const EXPERT_ZERO_POINTS: ReadonlyMap<number, number> = new Map([
  [2, 11],
  [5, 12],
  [8, 13],
]);

/** Whether a node has weights that several bytes hold in an order of its own. */
export function isPacking(node: OnnxNode): boolean {
  return packedLayout(node) !== null || (node.op === 'QMoE' && node.domain === 'com.microsoft');
}

/** What packed bytes stand for. Null where the node reads them in another order (`g_idx`, other formats), or its zero points are floats: these are none of the numbers that can be stored. */
export function packedQuantization(
  node: OnnxNode,
  input: number,
  tensor: TensorProto,
  home: TensorHome,
): Quantization | null {
  const shape = parseShape(tensor.dims, labelOf(tensor));
  const read = node.op === 'QMoE' ? expertInput(node, input, shape) : matrixInput(node, input);
  if (read === null) return null;
  const { layout, rowLength, scale, zeroPoint, zeros } = read;
  const { units, features, bits, blockSize, blocks } = layout;
  const dtype = `uint${bits}`;
  const scales = scale && packedParameter(scale, null, units * blocks, [blocks, 1], home);
  const shifts = zeroPoint ? packedParameter(zeroPoint, dtype, zeros.n, zeros.strides, home) : null;
  const isWhole = elementCount(shape) * 8 === units * rowLength * bits;
  const isDense = createTensorData(tensor, labelOf(tensor), shape, home)?.encoding === 'dense';
  if (!scales || !isWhole || !isDense || (zeroPoint && !shifts)) return null;
  return {
    dtype,
    axes: [
      { size: units, block: 1 },
      { size: features, block: blockSize },
    ],
    rowLength,
    scale: scales,
    zeroPoint: shifts,
    zero: 2 ** (bits - 1),
  };
}

/** Of `MatMulNBits`. */
function matrixInput(node: OnnxNode, input: number): PackedInput | null {
  const layout = packedLayout(node);
  if (layout === null || input !== 1 || node.inputs[4]) return null;
  const [, , scale = null, zeroPoint = null] = node.inputs;
  const zeroStride = zeroPointsPerRow(layout);
  return {
    layout,
    rowLength: layout.blocks * layout.blockSize,
    scale,
    zeroPoint,
    zeros: { strides: [zeroStride, 1], n: layout.units * zeroStride },
  };
}

/** Of `QMoE`: `[experts, units, bytes]`, with scales by unit or, in blocks, by unit and block. */
function expertInput(node: OnnxNode, input: number, shape: readonly number[]): PackedInput | null {
  const zeroInput = EXPERT_ZERO_POINTS.get(input);
  const bits = node.integer('expert_weight_bits', 4);
  const isPlain = node.text('quant_type', 'int') === 'int' && node.integer('weights_prepacked', 0) <= 0;
  if (zeroInput === undefined || shape.length !== 3 || ![2, 4, 8].includes(bits) || !isPlain) return null;
  const [experts, own, bytes] = shape;
  const features = (bytes * 8) / bits;
  const hasBlocks = node.integer('block_size', 0) > 0;
  const blockSize = hasBlocks ? node.integer('block_size', 0) : features;
  const blocks = Math.ceil(features / blockSize);
  const layout = { units: experts * own, features, bits, blockSize, blocks };
  const zeroStride = zeroPointsPerRow(layout);
  const zeroPoint = node.inputs[zeroInput] ?? null;
  // By unit they follow one another, and an expert's begin with a byte.
  if (zeroPoint && !hasBlocks && (own * bits) % 8 !== 0) return null;
  return {
    layout,
    rowLength: features,
    scale: node.inputs[input + 1] ?? null,
    zeroPoint,
    zeros: hasBlocks
      ? { strides: [zeroStride, 1], n: layout.units * zeroStride }
      : { strides: [1, 0], n: layout.units },
  };
}

/** @param packed the format of numbers that bytes hold; null of floats */
function packedParameter(
  value: OnnxValue,
  packed: string | null,
  n: number,
  strides: readonly number[],
  home: TensorHome,
): QuantizationParameter | null {
  const tensor = storedOf(value);
  if (tensor === null) return null;
  const dtype = dtypeOf(tensor);
  const shape = parseShape(tensor.dims, labelOf(tensor));
  const bits = packed === null ? 0 : Number(packed.slice('uint'.length));
  const isFit =
    packed === null ? elementCount(shape) === n : dtype === 'uint8' && elementCount(shape) * 8 === n * bits;
  const data = isFit ? createTensorData(tensor, labelOf(tensor), shape, home) : null;
  return data && { dtype: packed ?? dtype, n, data, strides };
}
