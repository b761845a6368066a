import { isDeepStrictEqual } from 'node:util';
import { isFloatDtype } from '../../core/dtype.ts';
import { elementCount, type Quantization, type QuantizationParameter } from '../../formats/model.ts';
import type { TensorHome } from '../../formats/onnx/external-data.ts';
import type { TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { createTensorData, dtypeOf, labelOf, numbersOf, parseShape } from '../../formats/onnx/tensor-data.ts';
import { isQuantizedDtype, quantizedBits } from '../../formats/quantized-numbers.ts';
import type { OnnxGraph, OnnxModel, OnnxValue, ValueUse } from '../onnx-model.ts';
import type { StoredTensor } from './constants.ts';
import { isPacking, packedQuantization } from './packed-weights.ts';
import { type QuantizedInput, quantizedInput } from './quantized-inputs.ts';
import { storedOf } from './stored-of.ts';

/** The largest number that a varint of one byte holds. */
const SHORT_VARINT = 127;

/**
 * What stored integers stand for, where every node that reads them says the same and their scales and zero points are stored too.
 * @throws EmpError malformed_onnx, missing_file for scales and zero points that are not where the model says
 */
export function findQuantizations(model: OnnxModel, home: TensorHome): Map<StoredTensor, Quantization> {
  const found = new Map<StoredTensor, Quantization>();
  const visit = (graph: OnnxGraph) => {
    for (const value of storedValues(graph)) {
      const tensor = storedOf(value);
      if (tensor === null || !isQuantizedDtype(dtypeOf(tensor))) continue;
      const [first, ...others] = value.uses.map((use) => describeUse(use, tensor, home));
      if (first && others.every((other) => isDeepStrictEqual(other, first))) found.set(tensor, first);
    }
    for (const node of graph.nodes) for (const { graph: inner } of node.subgraphs) visit(inner);
  };
  for (const graph of [model.graph, ...model.functions]) visit(graph);
  return found;
}

function storedValues(graph: OnnxGraph): OnnxValue[] {
  const constants = graph.nodes.filter((node) => node.is('Constant'));
  return [...graph.initializers, ...constants.flatMap(({ outputs: [output] }) => output ?? [])];
}

function describeUse({ node, input }: ValueUse, tensor: TensorProto, home: TensorHome): Quantization | null {
  if (isPacking(node)) return packedQuantization(node, input, tensor, home);
  const read = quantizedInput(node, input);
  return read && describe(read, tensor, home);
}

function describe(
  { scale, zeroPoint, axis, block }: QuantizedInput,
  tensor: TensorProto,
  home: TensorHome,
): Quantization | null {
  const dtype = dtypeOf(tensor);
  const shape = parseShape(tensor.dims, labelOf(tensor));
  const along = axis < 0 ? axis + shape.length : axis;
  const blocks = shape.map((_, i) => (i === along && block > 0 ? block : 1));
  const scales = scale && parameterOf(scale, shape, along, blocks, home);
  if (!scales || !isFloatDtype(scales.dtype)) return null;
  const isShifted = zeroPoint !== null && !dtype.startsWith('float8');
  const zeros = isShifted ? parameterOf(zeroPoint, shape, along, blocks, home) : null;
  if (isShifted && zeros?.dtype !== dtype) return null;
  if (!canBeZeroed(tensor, zeroPoint && storedOf(zeroPoint), home)) return null;
  return {
    dtype,
    axes: shape.map((size, i) => ({ size, block: blocks[i] })),
    rowLength: shape.at(-1) ?? 1,
    scale: scales,
    zeroPoint: zeros,
    zero: 0,
  };
}

/** Stored numbers as parameters of weights of a shape: one for all, a vector along an axis, or of as many axes. Null where they are none of these. */
function parameterOf(
  value: OnnxValue,
  shape: readonly number[],
  axis: number,
  blocks: readonly number[],
  home: TensorHome,
): QuantizationParameter | null {
  const tensor = storedOf(value);
  if (tensor === null) return null;
  const own = parseShape(tensor.dims, labelOf(tensor));
  const strides = stridesOf(own, shape, axis, blocks);
  const data = createTensorData(tensor, labelOf(tensor), own, home);
  return strides && data && { dtype: dtypeOf(tensor), n: elementCount(own), data, strides };
}

function stridesOf(
  own: readonly number[],
  shape: readonly number[],
  axis: number,
  blocks: readonly number[],
): number[] | null {
  const n = elementCount(own);
  if (n === 1) return shape.map(() => 0);
  // A vector may be written with axes of one position, to be broadcast.
  if (n === shape[axis] && own.filter((size) => size > 1).length === 1 && blocks[axis] === 1)
    return shape.map((_, i) => (i === axis ? 1 : 0));
  if (own.length !== shape.length) return null;
  const fits = own.every((size, i) => size === 1 || size === Math.ceil(shape[i] / blocks[i]));
  return fits ? own.map((size, i) => (size === 1 ? 0 : elementCount(own.slice(i + 1)))) : null;
}

/** Varints are given other numbers in as many bytes: those of a zero point have to be few. */
function canBeZeroed(tensor: TensorProto, zeros: TensorProto | null, home: TensorHome): boolean {
  const data = createTensorData(tensor, labelOf(tensor), parseShape(tensor.dims, labelOf(tensor)), home);
  if (data?.encoding !== 'varint' || zeros === null) return true;
  const isPacked = quantizedBits(dtypeOf(tensor)) < 8;
  const numbers = isPacked ? [...zeros.rawData, ...zeros.int32Data] : numbersOf(zeros);
  const most = isPacked ? 0 : SHORT_VARINT;
  return numbers !== null && numbers.length > 0 && numbers.every((zero) => zero >= 0 && zero <= most);
}
