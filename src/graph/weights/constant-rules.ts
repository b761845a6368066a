import { elementCount } from '../../formats/model.ts';
import {
  axisOf,
  broadcastShape,
  type ConstantNode,
  concatenatedShape,
  first,
  flattenedShape,
  gatheredShape,
  gatherPositions,
  permutation,
  productShape,
  reducedShape,
  reshapedShape,
  shapeOf,
  slicedShape,
  slicePicks,
  splitPicks,
  splitShape,
  squeezedShape,
  unsqueezedShape,
} from './constant-shapes.ts';
import type { Move, Shape } from './element-moves.ts';
import type { Picks } from './picks.ts';

/** How an operator makes constants of constants. */
export interface ConstantRule {
  /** Shape of an output; null where it cannot be told. */
  readonly shape: (at: ConstantNode, output: number) => Shape;
  /**
   * The inputs that a weight comes from: what of it becomes zero when they do. Says where the input's elements are in an output;
   * `undefined` for an input that holds no weight (a scale, an index, a statistic).
   */
  readonly moveOf?: (at: ConstantNode, input: number, output: number) => Move | undefined;
}

const UNKNOWN: Move = { how: 'unknown' };

const result = (at: ConstantNode, output = 0): Shape => at.outputs[output]?.shape ?? null;
const onlyFirst = (_at: ConstantNode, input: number): Move | undefined =>
  input === 0 ? { how: 'same' } : undefined;

const SAME: ConstantRule = { shape: first, moveOf: onlyFirst };
const SHAPE_ONLY: ConstantRule = { shape: first };
const RESHAPED = (shape: ConstantRule['shape']): ConstantRule => ({ shape, moveOf: onlyFirst });
const REDUCTION: ConstantRule = { shape: reducedShape };
/** Some positions along axes. */
const part =
  (picks: (at: ConstantNode, output: number) => readonly (Picks | null)[] | null) =>
  (at: ConstantNode, input: number, output: number): Move | undefined =>
    input === 0
      ? { how: 'select', result: result(at, output), operand: first(at), picks: picks(at, output) }
      : undefined;

/** Elementwise operators with broadcasting; `factors` are the inputs that hold weights, unless `isLeftOut` of them. */
const elementwise = (
  factors: readonly number[],
  operands: readonly number[],
  isLeftOut: (at: ConstantNode, input: number) => boolean = () => false,
): ConstantRule => ({
  shape: (at) => broadcastShape(operands.map((input) => shapeOf(at, input))),
  moveOf: (at, input) => {
    const others = factors.filter((other) => other !== input);
    if (!factors.includes(input) || !isMatrixFactor(at, input, others) || isLeftOut(at, input))
      return undefined;
    return { how: 'broadcast', result: result(at), operand: shapeOf(at, input) };
  },
});

/** By operator of the standard domain. Any other operator still makes a constant of constants, of unknown shape. */
export const CONSTANT_RULES: ReadonlyMap<string, ConstantRule> = new Map([
  ...alike(SAME, ['Identity', 'Cast', 'CastLike', 'DequantizeLinear', 'QuantizeLinear']),
  ...alike(SAME, ['Neg', 'Abs', 'Tanh', 'Clip']),
  ...alike(SHAPE_ONLY, ['Exp', 'Log', 'Sqrt', 'Reciprocal', 'Sigmoid', 'Softplus']),
  ...alike(REDUCTION, ['ReduceSum', 'ReduceMean', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare']),
  ...alike(REDUCTION, ['ReduceMax', 'ReduceMin']),
  ...Object.entries<ConstantRule>({
    Reshape: RESHAPED(reshapedShape),
    Flatten: RESHAPED(flattenedShape),
    Squeeze: RESHAPED(squeezedShape),
    Unsqueeze: RESHAPED(unsqueezedShape),
    Transpose: {
      shape: (at) => {
        const shape = first(at);
        return permutation(at)?.map((axis) => (shape ?? [])[axis]) ?? null;
      },
      moveOf: (at) => {
        const perm = permutation(at);
        return perm === null ? UNKNOWN : { how: 'transpose', result: result(at), perm };
      },
    },
    Mul: elementwise([0, 1], [0, 1], isMask),
    Add: elementwise([0, 1], [0, 1]),
    Sub: elementwise([0, 1], [0, 1]),
    Div: elementwise([0], [0, 1]),
    Pow: elementwise([0], [0, 1]),
    Where: elementwise([1, 2], [0, 1, 2]),
    Expand: {
      shape: (at) => broadcastShape([first(at), at.inputs[1]?.integers ?? null]),
      moveOf: (at, input) =>
        input === 0 ? { how: 'broadcast', result: result(at), operand: first(at) } : undefined,
    },
    Concat: {
      shape: concatenatedShape,
      moveOf: (at, input) => ({ how: 'concat', result: result(at), operand: shapeOf(at, input) }),
    },
    Split: { shape: splitShape, moveOf: part(splitPicks) },
    Slice: { shape: slicedShape, moveOf: part(slicePicks) },
    Gather: {
      shape: gatheredShape,
      moveOf: (at, input) => {
        if (input !== 0) return undefined;
        const [whole, indices] = [first(at), shapeOf(at, 1)];
        const axis = axisOf(at, 'axis', 0);
        if (whole === null || axis === null || indices === null) return UNKNOWN;
        const positions = gatherPositions(at);
        if (indices.length === 1)
          return {
            how: 'select',
            result: result(at),
            operand: whole,
            picks: positions && whole.map((_, each) => (each === axis ? positions : null)),
          };
        return indices.length === 0
          ? { how: 'unstack', result: result(at), axis, size: whole[axis], at: positions?.[0] ?? null }
          : UNKNOWN;
      },
    },
    MatMul: { shape: productShape },
    // One of several packed matrices, dequantized.
    GatherBlockQuantized: {
      shape: (at) => (isOneOfAll(at) ? unpackedShape(at) : null),
      moveOf: (at, input) => {
        if (input !== 0 || !isOneOfAll(at)) return undefined;
        const position = at.inputs[1]?.integers?.[0] ?? null;
        return { how: 'unstack', result: result(at), axis: 0, size: first(at)?.[0] ?? 1, at: position };
      },
    },
  }),
]);

function isOneOfAll(at: ConstantNode): boolean {
  return shapeOf(at, 1)?.length === 0 && at.integer('gather_axis', 0) === 0;
}

/** Of a matrix of which several are packed along the last axis, in bytes. */
function unpackedShape(at: ConstantNode): Shape {
  const [bytes, ...others] = first(at)?.slice(1).toReversed() ?? [];
  return bytes === undefined ? null : [...others.toReversed(), (bytes * 8) / at.integer('bits', 4)];
}

function alike(rule: ConstantRule, operators: readonly string[]): [string, ConstantRule][] {
  return operators.map((operator) => [operator, rule]);
}

/** Whether an operand is a weight beside the other factors: not one that scales or shifts parts of another, by channel, group or row, nor a vector. */
function isMatrixFactor(at: ConstantNode, input: number, others: readonly number[]): boolean {
  const operand = shapeOf(at, input);
  if (operand === null || isWhole(at, input)) return true;
  return !others.some((other) => isWhole(at, other)) && operand.filter((size) => size > 1).length >= 2;
}

/**
 * Whether a factor is as large as the other and not the one that counts as the weight: a product is zero where one of them is. It is the second, as PyTorch's pruning multiplies by its masks, unless the first
 * alone is called a mask.
 */
function isMask(at: ConstantNode, input: number): boolean {
  if (!isWhole(at, 0) || !isWhole(at, 1)) return false;
  const [isFirst, isSecond] = [0, 1].map((each) => /mask$/i.test(at.node.inputs[each]?.name ?? ''));
  return input === (isFirst && !isSecond ? 0 : 1);
}

/** Whether an operand has all of the result's elements. */
function isWhole(at: ConstantNode, input: number): boolean {
  const [operand, whole] = [shapeOf(at, input), result(at)];
  return operand !== null && whole !== null && elementCount(operand) === elementCount(whole);
}
