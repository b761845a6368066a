import { TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';

/** dy for each number. */
const sum: GradientRule = (at) => [at.expandLike(kept(at, at.gradient()), at.input(0))];

/** dy / n, n being how many numbers make one. */
const mean: GradientRule = (at) => {
  const part = at.div(at.gradient(), reducedCount(at));
  return [at.expandLike(kept(at, part), at.input(0))];
};

/** ReduceMax, ReduceMin: to the number that was taken; in equal parts to equal ones, as in PyTorch's amax. */
const extreme: GradientRule = (at) => {
  const taken = at.indicator(at.op('Equal', [at.input(0), kept(at, at.output())]));
  const part = at.div(kept(at, at.gradient()), at.sum(taken, reducedAxes(at)));
  return [at.mul(part, taken)];
};

/** y = sum of x^2: 2 x dy */
const sumSquare: GradientRule = (at) => {
  const twice = at.mul(at.gradient(), at.scalar(2));
  return [at.mul(at.input(0), kept(at, twice))];
};

/** y = sum of |x|: sign(x) dy */
const l1: GradientRule = (at) => [at.mul(at.op('Sign', [at.input(0)]), kept(at, at.gradient()))];

/** y = sqrt of the sum of x^2: x dy / y; 0 at 0, as in PyTorch's norm. */
const l2: GradientRule = (at) => {
  const [y, zero] = [at.output(), at.scalar(0)];
  const isZero = at.op('Equal', [y, zero]);
  // Divided by 1 there, for the second sweep goes through the division too, and 0 / 0 times 0 is no 0.
  const norm = at.op('Where', [isZero, at.scalar(1), y]);
  const share = at.op('Where', [isZero, zero, at.div(at.gradient(), norm)]);
  return [at.mul(at.input(0), kept(at, share))];
};

/** y = log of the sum of x: dy / e^y */
const logSum: GradientRule = (at) => {
  const share = at.div(at.gradient(), at.op('Exp', [at.output()]));
  return [at.expandLike(kept(at, share), at.input(0))];
};

/** y = log of the sum of e^x: e^(x - y) dy */
const logSumExp: GradientRule = (at) => {
  const softmax = at.op('Exp', [at.sub(at.input(0), kept(at, at.output()))]);
  return [at.mul(softmax, kept(at, at.gradient()))];
};

/** y (dy - sum of dy y along the axis) */
const softmax: GradientRule = (at) => {
  const [dy, y] = [at.gradient(), at.output()];
  return [at.mul(y, at.sub(dy, at.sum(at.mul(dy, y), [at.integer('axis', -1)])))];
};

/** y = log softmax(x): dy - e^y sum of dy along the axis */
const logSoftmax: GradientRule = (at) => {
  const [dy, y] = [at.gradient(), at.output()];
  return [at.sub(dy, at.mul(at.op('Exp', [y]), at.sum(dy, [at.integer('axis', -1)])))];
};

/** The sums from the other end. */
const cumSum: GradientRule = (at) => {
  const [exclusive, reverse] = [at.integer('exclusive', 0), 1 - at.integer('reverse', 0)];
  return [at.op('CumSum', [at.gradient(), at.input(1)], { exclusive, reverse })];
};

/** Reductions along axes, softmax, and running sums. In the formulas x is the input, y the output, dy its gradient. */
export const REDUCE_RULES: GradientRules = new Map<string, GradientRule>([
  ['ReduceSum', sum],
  ['ReduceMean', mean],
  ['ReduceMax', extreme],
  ['ReduceMin', extreme],
  ['ReduceSumSquare', reducing(sumSquare)],
  ['ReduceL1', reducing(l1)],
  ['ReduceL2', reducing(l2)],
  ['ReduceLogSum', reducing(logSum)],
  ['ReduceLogSumExp', reducing(logSumExp)],
  ['Softmax', softmax],
  ['LogSoftmax', logSoftmax],
  ['CumSum', cumSum],
]);

/** Refuses nodes that reduce nothing: the standard does not say clearly whether they still square numbers or take logarithms. */
function reducing(rule: GradientRule): GradientRule {
  return (at) => {
    if (givenAxes(at) === null && at.integer('noop_with_empty_axes', 0) === 1) {
      throw new Undifferentiable('has noop_with_empty_axes and no axes');
    }
    return rule(at);
  };
}

/** Axes as the node gives them, an attribute or an input; null where it gives none. */
function givenAxes(at: GradientNode): readonly number[] | null {
  const input = at.optionalInput(1);
  const axes = input === null ? at.integers('axes') : at.constant(input);
  if (input !== null && axes === null) throw new Undifferentiable('its axes are not constant');
  return axes === null || axes.length === 0 ? null : axes;
}

function reducedAxes(at: GradientNode): readonly number[] {
  const given = givenAxes(at);
  if (given !== null) return given;
  if (at.integer('noop_with_empty_axes', 0) === 1) return [];
  return [...Array(at.rank(at.input(0))).keys()];
}

/** `a`, of the output's shape, with the reduced axes of size 1, or of rank 0 where all are. */
function kept(at: GradientNode, a: string): string {
  if (at.integer('keepdims', 1) === 1) return a;
  const axes = givenAxes(at);
  return axes === null ? a : at.unsqueeze(a, axes);
}

/** How many numbers of the input make one of the output, as float32. */
function reducedCount(at: GradientNode): string {
  const shape = at.shape(at.input(0));
  const sizes = reducedAxes(at).map((axis) => shape?.at(axis));
  if (sizes.every((size) => typeof size === 'number')) {
    return at.scalar(sizes.reduce((count, size) => count * size, 1));
  }
  return at.div(sizeAtRuntime(at, at.input(0)), sizeAtRuntime(at, at.output()));
}

function sizeAtRuntime(at: GradientNode, a: string): string {
  return at.op('Cast', [at.op('Size', [a])], { to: TensorProto_DataType.FLOAT });
}
