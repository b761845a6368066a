import type { OnnxNode, OnnxValue } from '../onnx-model.ts';

/** How a node reads one of its inputs as quantized numbers. */
export interface QuantizedInput {
  readonly scale: OnnxValue | null;
  readonly zeroPoint: OnnxValue | null;
  /** The axis that has scales, where these are a vector. */
  readonly axis: number;
  /** Positions along it that share a scale; 0 where all have one, or each its own. */
  readonly block: number;
}

/** Positions of the numbers, their scales and zero points among a node's inputs. */
interface Slot {
  readonly numbers: number;
  /** Null where a node behind multiplies by it. */
  readonly scale: number | null;
  readonly zeroPoint: number;
  /** The axis that has scales, from 0 or, negative, from the end. */
  readonly axis: (node: OnnxNode) => number;
  readonly block?: (node: OnnxNode) => number;
}

/** Nodes between a product of integers and its scale: a Cast, scales, a bias. */
const MAX_STEPS = 4;

const slot = (numbers: number, scale: number | null, zeroPoint: number, axis: number): Slot => ({
  numbers,
  scale,
  zeroPoint,
  axis: () => axis,
});

const DEQUANTIZED: readonly Slot[] = [
  {
    ...slot(0, 1, 2, 1),
    axis: (node) => node.integer('axis', 1),
    block: (node) => node.integer('block_size', 0),
  },
];

const STANDARD: Readonly<Record<string, readonly Slot[]>> = {
  DequantizeLinear: DEQUANTIZED,
  QLinearConv: [slot(3, 4, 5, 0)],
  QLinearMatMul: [slot(0, 1, 2, -2), slot(3, 4, 5, -1)],
  ConvInteger: [slot(1, null, 3, 0)],
  MatMulInteger: [slot(1, null, 3, -1)],
};

const MICROSOFT: Readonly<Record<string, readonly Slot[]>> = {
  DequantizeLinear: DEQUANTIZED,
  QGemm: [{ ...slot(3, 4, 5, 1), axis: (node) => (node.integer('transB', 0) !== 0 ? 0 : 1) }],
  DynamicQuantizeMatMul: [slot(1, 2, 3, -1)],
  MatMulIntegerToFloat: [slot(1, 3, 5, -1)],
  QAttention: [slot(1, 4, 7, -1)],
};

/** Null where the node does not read the input as quantized numbers, or its scale is not found. */
export function quantizedInput(node: OnnxNode, input: number): QuantizedInput | null {
  const slots = node.domain === '' ? STANDARD : node.domain === 'com.microsoft' ? MICROSOFT : {};
  const found = Object.hasOwn(slots, node.op)
    ? slots[node.op].find(({ numbers }) => numbers === input)
    : null;
  if (!found) return null;
  const scale = found.scale === null ? scaleBehind(node) : (node.inputs[found.scale] ?? null);
  const zeroPoint = node.inputs[found.zeroPoint] ?? null;
  return { scale, zeroPoint, axis: found.axis(node), block: found.block?.(node) ?? 0 };
}

/** The stored one of the scales that a product of integers is multiplied by; the other is that of its input, found as it comes. */
function scaleBehind(node: OnnxNode): OnnxValue | null {
  let value = node.outputs[0];
  for (let step = 0; step < MAX_STEPS && value?.uses.length === 1; step++) {
    const [{ node: next, input }] = value.uses;
    if (next.is('Mul')) {
      const other = next.inputs[1 - input];
      const factors = other?.producer?.is('Mul') ? other.producer.inputs : [other];
      const stored = factors.find((factor) => factor && isStored(factor));
      if (stored) return stored;
    } else if (!next.is('Cast')) return null;
    value = next.outputs[0];
  }
  return null;
}

function isStored({ initializer, producer }: OnnxValue): boolean {
  return initializer !== null || (producer?.is('Constant') ?? false);
}
