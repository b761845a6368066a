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
export function zeroPointsPerRow({ blocks, bits }: PackedLayout): number {
  return (Math.ceil((blocks * bits) / 8) * 8) / bits;
}

/** What packed bytes stand for. Null where the node reads them in another order (`g_idx`), or its zero points are floats: these are none of the numbers that can be stored. */
export function packedQuantization(
  node: OnnxNode,
  input: number,
  tensor: TensorProto,
  home: TensorHome,
): Quantization | null {
  const layout = packedLayout(node);
  if (layout === null || input !== 1 || node.inputs[4]) return null;
  const { units, features, bits, blockSize, blocks } = layout;
  const dtype = `uint${bits}`;
  const [, , scale, zeroPoint] = node.inputs;
  const zeroStride = zeroPointsPerRow(layout);
  const scales = scale && packedParameter(scale, null, units * blocks, [blocks, 1], home);
  const zeros = zeroPoint
    ? packedParameter(zeroPoint, dtype, units * zeroStride, [zeroStride, 1], home)
    : null;
  const shape = parseShape(tensor.dims, labelOf(tensor));
  const isWhole = elementCount(shape) * 8 === units * blocks * blockSize * bits;
  const isDense = createTensorData(tensor, labelOf(tensor), shape, home)?.encoding === 'dense';
  if (!scales || !isWhole || !isDense || (zeroPoint && !zeros)) return null;
  return {
    dtype,
    axes: [
      { size: units, block: 1 },
      { size: features, block: blockSize },
    ],
    rowLength: blocks * blockSize,
    scale: scales,
    zeroPoint: zeros,
    zero: 2 ** (bits - 1),
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
