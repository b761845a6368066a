import { isFloatDtype } from '../core/dtype.ts';
import type { ByteSource } from './byte-source.ts';

export type ModelFormat = 'onnx' | 'safetensors';

/** A stretch of one of the model's files. */
export interface ByteRange {
  /** The file's name, relative to the model's folder, with forward slashes. */
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/**
 * Where a tensor's numbers are. `dense`: little-endian elements back to back over the runs, in order, each run a whole
 * number of elements (one run but in the oddest protobuf). `varint`: one protobuf varint an element holding the bit pattern (ONNX
 * keeps 16-bit floats in `int32_data` that way); zeroed in place by varints of the same length.
 */
export interface TensorData {
  readonly encoding: 'dense' | 'varint';
  readonly runs: readonly ByteRange[];
}

/**
 * Which elements of a stored tensor form a row, i.e. feed one output unit. The tensor is read as
 * `[outer, reduced, units, inner]`, row-major; the row of element `(o, r, u, i)` is `o * units + u`, and within a row elements are
 * ordered by `(r, i)`. Linear `[out, in]` is `[1, 1, out, in]`, MatMul `[in, out]` is `[1, in, out, 1]`, Conv is `[1, 1, out, in/groups*k]`,
 * ConvTranspose `[in, out/groups, ...k]` is `[groups, in/groups, out/groups, k]`.
 */
export interface RowLayout {
  readonly outer: number;
  readonly reduced: number;
  readonly units: number;
  readonly inner: number;
}

/** Scales or zero points of a quantized tensor. */
export interface QuantizationParameter {
  readonly dtype: string;
  /** How many there are, padding included. */
  readonly n: number;
  readonly data: TensorData;
  /** How far the number goes on from one position, or block of positions, to the next along each axis of the weights. */
  readonly strides: readonly number[];
}

/** What the stored numbers `q` of a quantized tensor stand for: weights `(q - zero point) * scale`, row-major. */
export interface Quantization {
  /** The format of `q`, which bytes may hold several of: `int8`, `uint4`, `float8_e4m3fn`, ... */
  readonly dtype: string;
  readonly axes: readonly {
    /** Weights along it. */
    readonly size: number;
    /** Positions along it that share a scale. */
    readonly block: number;
  }[];
  /** Numbers stored along the last axis: more than it has weights where its last block is padded. */
  readonly rowLength: number;
  readonly scale: QuantizationParameter;
  /** Null where it is `zero` everywhere. */
  readonly zeroPoint: QuantizationParameter | null;
  readonly zero: number;
}

/** One tensor of a model file. */
export interface ModelTensor {
  /** Unique within the model. */
  readonly name: string;
  /** As stored. */
  readonly shape: readonly number[];
  /** `float32`, `bfloat16`, `int64`, `float8_e4m3fn`, ... */
  readonly dtype: string;
  /** `weight`: a matrix or filter that a layer multiplies by; everything else (bias, norm, embedding, statistics, shapes) is `other`. */
  readonly role: 'weight' | 'other';
  /** A weight, of floats or quantized, with data that can be edited in place: selected unless the recipe says otherwise. */
  readonly prunable: boolean;
  /** Null where there is nothing to edit in place: no elements, sparse or string data, or more pieces than any real file has. */
  readonly data: TensorData | null;
  /** Null where rows are not defined: not a weight, or one whose consumers disagree. */
  readonly rows: RowLayout | null;
  /** Absent of floats, and where scales or zero points are not stored beside the numbers or readers disagree on them. */
  readonly quantization?: Quantization;
}

/** What a model's files hold, in the order of the file's own parameters. */
export interface ModelInventory {
  readonly format: ModelFormat;
  /** The files that belong to the model: the first is the one a client names (`model.onnx`, `model.safetensors`, or the shard index). */
  readonly files: readonly string[];
  readonly tensors: readonly ModelTensor[];
  /** Elements of all parameters, floats and quantized weights, each shared tensor once. */
  readonly nParameters: number;
}

/** The files a model was uploaded as, by name. */
export type ModelFiles = ReadonlyMap<string, ByteSource>;

/** What readers do about files that the model does not name. */
export type Strangers = 'refused' | 'ignored';

/** Elements of a tensor of that shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** The shape of the weights that a tensor stands for: its own but where several are packed into a byte. */
export function weightShape({
  shape,
  quantization,
}: Pick<ModelTensor, 'shape' | 'quantization'>): readonly number[] {
  return quantization?.axes.map(({ size }) => size) ?? shape;
}

export function weightCount(tensor: Pick<ModelTensor, 'shape' | 'quantization'>): number {
  return elementCount(weightShape(tensor));
}

/** Integers that a checkpoint packs weights into, whose scales nothing but its own loader knows. */
const PACKED_NAME = /weight|packed|blocks/i;
const ZERO_POINT_NAME = /zero|zp$/i;
const PACKED_DTYPE = /^u?int(2|4|8|16|32)$/;

/** Whether a tensor counts among a model's parameters: floats, and what stands for them. */
export function isParameter({ name, shape, dtype, role, quantization }: ModelTensor): boolean {
  if (/^b?float/.test(dtype) || role === 'weight' || quantization !== undefined) return true;
  const isPacked = PACKED_NAME.test(name) && !ZERO_POINT_NAME.test(name);
  return isPacked && PACKED_DTYPE.test(dtype) && shape.filter((size) => size > 1).length >= 2;
}

/** How many parameters tensors hold together; of packed ones whose format is not known, how many numbers. */
export function parameterCount(tensors: readonly ModelTensor[]): number {
  return tensors.filter(isParameter).reduce((sum, tensor) => sum + weightCount(tensor), 0);
}

/** Whether a tensor's numbers can be scored, and set to zero in place. */
export function isEditable(tensor: Pick<ModelTensor, 'data' | 'dtype' | 'shape' | 'quantization'>): boolean {
  const { data, dtype, shape, quantization } = tensor;
  return data !== null && (isFloatDtype(dtype) || quantization !== undefined) && !shape.includes(0);
}

/** Where a tensor is that is one dense stretch of a file, as nearly all are; null for the odd ones. */
export function denseRange(data: TensorData | null): ByteRange | null {
  return data?.encoding === 'dense' && data.runs.length === 1 ? data.runs[0] : null;
}
