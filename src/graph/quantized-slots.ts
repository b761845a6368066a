import type { NodeProto } from '../formats/onnx/onnx-schema.ts';
import type { OnnxValue } from './onnx-model.ts';

/** Inputs of operators that take quantized numbers, or the numbers by which these are scaled and shifted: an integer there is no index and no size. */
const STANDARD: Readonly<Record<string, readonly number[]>> = {
  DequantizeLinear: [0, 2],
  QuantizeLinear: [2],
  QLinearConv: [2, 3, 5, 7, 8],
  QLinearMatMul: [0, 2, 3, 5, 7],
  ConvInteger: [1, 2, 3],
  MatMulInteger: [0, 1, 2, 3],
};
const MICROSOFT: Readonly<Record<string, readonly number[]>> = {
  DequantizeLinear: [0, 2],
  QuantizeLinear: [2],
  QGemm: [2, 3, 5, 6, 8],
  DynamicQuantizeMatMul: [1, 3],
  MatMulIntegerToFloat: [0, 1, 4, 5],
  MatMulNBits: [1, 3],
  QMoE: [2, 5, 8, 11, 12, 13],
};

/** Whether a node takes quantized numbers, or a zero point, from an input. */
export function isQuantizedSlot({ opType, domain }: Pick<NodeProto, 'opType' | 'domain'>, input: number) {
  const slots =
    domain === 'com.microsoft' ? MICROSOFT : domain === '' || domain === 'ai.onnx' ? STANDARD : {};
  return Object.hasOwn(slots, opType) && slots[opType].includes(input);
}

/** Whether all that reads a value takes it for quantized numbers or zero points. */
export function isReadQuantized({ uses }: OnnxValue): boolean {
  return uses.length > 0 && uses.every(({ node, input }) => isQuantizedSlot(node.proto, input));
}
