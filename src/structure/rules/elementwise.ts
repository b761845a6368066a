import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

/** Inputs are broadcast against each other: their axes go together, counted from the last, but those of size 1. */
export const elementwise: StructureRule = (at) => {
  const axes = broadcastAxes(
    at,
    at.givenInputs.map((input) => operandOf(at, input)),
  );
  return at.node.outputs.map(() => axes);
};

/** Axes of something that a node computes with, and their sizes. */
export interface Operand {
  readonly axes: readonly LaneAxis[];
  readonly sizes: readonly number[];
}

export function operandOf(at: AnalysedNode, input: number): Operand {
  return { axes: at.axes(input), sizes: at.sizes(input) };
}

/** The axes of what operands are broadcast to. */
export function broadcastAxes(at: AnalysedNode, operands: readonly Operand[]): LaneAxis[] {
  const rank = operands.reduce((most, { sizes }) => Math.max(most, sizes.length), 0);
  return Array.from({ length: rank }, (_, axis) => {
    const met = operands.flatMap(({ axes, sizes }) => {
      const own = axis - rank + sizes.length;
      return own >= 0 && sizes[own] !== 1 ? [axes[own]] : [];
    });
    for (const other of met.slice(1)) at.tie(met[0], other);
    return met.every((each) => each !== null) ? (met[0] ?? null) : null;
  });
}

/** What is broadcast to a value, and added to it or multiplied with it, has the value's lanes. */
export function tieBroadcast(at: AnalysedNode, input: number, value: readonly LaneAxis[]): void {
  const sizes = at.sizes(input);
  for (const [axis, size] of sizes.entries()) {
    if (size > 1) at.tie(at.axes(input)[axis], value[axis + value.length - sizes.length]);
  }
}

/** Only the first input's numbers are passed on; the others are bounds, or say a type. */
export const passing: StructureRule = (at) => at.node.outputs.map(() => at.axes(0));

/** The output has the first input's axes, of which those that `axesOf` gives cannot shrink. */
export function passingBut(
  reason: string,
  axesOf: (x: readonly LaneAxis[], at: AnalysedNode) => readonly LaneAxis[],
): StructureRule {
  return (at) => {
    const x = at.axes(0);
    at.fixed(axesOf(x, at), reason);
    return [x];
  };
}

/** In training what is dropped is drawn anew for every shape. */
const dropout: StructureRule = (at) => {
  const isTraining = at.hasInput(2) && at.integersOf(2)?.[0] !== 0;
  return isTraining ? at.frozen('is dropped at random') : passing(at);
};

const ELEMENTWISE = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Mod', 'Max', 'Min', 'Sum', 'Mean', 'Where', 'PRelu'],
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Xor', 'Not', 'BitShift'],
  ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitwiseNot', 'IsNaN', 'IsInf', 'Sign'],
  ...['Abs', 'Neg', 'Reciprocal', 'Sqrt', 'Exp', 'Log', 'Erf', 'Floor', 'Ceil', 'Round'],
  ...['Sin', 'Cos', 'Tan', 'Asin', 'Acos', 'Atan', 'Sinh', 'Cosh', 'Tanh', 'Asinh', 'Acosh', 'Atanh'],
  ...['Relu', 'LeakyRelu', 'ThresholdedRelu', 'Elu', 'Selu', 'Celu', 'Gelu', 'Mish', 'Swish', 'HardSwish'],
  ...['Sigmoid', 'HardSigmoid', 'Softplus', 'Softsign', 'Shrink', 'Cast', 'Identity'],
];

export const ELEMENTWISE_RULES: StructureRules = new Map<string, StructureRule>([
  ...ELEMENTWISE.map((operator): [string, StructureRule] => [operator, elementwise]),
  ['Clip', passing],
  ['CastLike', passing],
  ['Dropout', dropout],
]);
