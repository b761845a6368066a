import type { GradientNode, GradientRule, GradientRules } from '../derivative.ts';
import { unary } from './arithmetic.ts';

/** dy where `condition` holds, else dy times `slope`. */
const eitherSlope = (at: GradientNode, condition: string, slope: string): string =>
  at.op('Where', [condition, at.gradient(), at.mul(at.gradient(), slope)]);

/** [y > 0], from the output, so that onnxruntime still fuses the Relu into the Conv or Gemm before it. 0 at 0, as in PyTorch. */
const relu = unary((at) => at.indicator(isPositive(at, at.output())));

/** dy where y > 0, else alpha dy. Where alpha is not negative, y has the sign of x, and x is left to be fused away. */
const leakyRelu: GradientRule = (at) => {
  const alpha = at.float('alpha', 0.01);
  return [eitherSlope(at, isPositive(at, alpha < 0 ? at.input(0) : at.output()), at.scalar(alpha))];
};

/** y = x, or slope x where x < 0. */
const pRelu: GradientRule = (at) => {
  const [dy, x, slope] = [at.gradient(), at.input(0), at.input(1)];
  const positive = isPositive(at, x);
  return [
    at.needs(0) ? eitherSlope(at, positive, slope) : null,
    at.needs(1)
      ? at.unbroadcast(at.op('Where', [positive, at.scalar(0), at.mul(dy, x)]), slope, at.output())
      : null,
  ];
};

/** y = alpha (e^x - 1) where x <= 0: its slope is y + alpha. */
const elu: GradientRule = (at) => {
  const slope = at.add(at.output(), at.scalar(at.float('alpha', 1)));
  return [eitherSlope(at, isPositive(at, at.input(0)), slope)];
};

/** y = gamma x, or gamma alpha (e^x - 1) where x <= 0: its slopes are gamma and y + gamma alpha. */
const selu = unary((at) => {
  const [alpha, gamma] = [at.float('alpha', 1.6732632423543772), at.float('gamma', 1.0507009873554805)];
  const below = at.add(at.output(), at.scalar(gamma * alpha));
  return at.op('Where', [isPositive(at, at.input(0)), at.scalar(gamma), below]);
});

/** y = alpha (e^(x / alpha) - 1) where x <= 0: its slope is y / alpha + 1. */
const celu: GradientRule = (at) => {
  const slope = at.add(at.mul(at.output(), at.scalar(1 / at.float('alpha', 1))), at.scalar(1));
  return [eitherSlope(at, isPositive(at, at.input(0)), slope)];
};

/** y = x where x > alpha, else 0. */
const thresholdedRelu: GradientRule = (at) => {
  const taken = at.op('Greater', [at.input(0), at.scalar(at.float('alpha', 1))]);
  return [at.where(taken, at.gradient())];
};

/** y = x - bias where x > lambd, x + bias where x < -lambd, else 0. */
const shrink: GradientRule = (at) => {
  const isFar = at.op('Greater', [at.op('Abs', [at.input(0)]), at.scalar(at.float('lambd', 0.5))]);
  return [at.where(isFar, at.gradient())];
};

/** y = alpha x + beta, between 0 and 1. */
const hardSigmoid: GradientRule = (at) => {
  const between = at.op('And', [isPositive(at, at.output()), at.op('Less', [at.output(), at.scalar(1)])]);
  return [at.where(between, at.mul(at.gradient(), at.scalar(at.float('alpha', 0.2))))];
};

/** y = x (x + 3) / 6 between -3 and 3, where its slope is x / 3 + 1 / 2; below it is 0, above 1. */
const hardSwish = unary((at) => {
  const x = at.input(0);
  const bent = at.op('Less', [at.op('Abs', [x]), at.scalar(3)]);
  const slope = at.add(at.mul(x, at.scalar(1 / 3)), at.scalar(0.5));
  return at.op('Where', [bent, slope, at.indicator(isPositive(at, x))]);
});

/** y = x s with s = sigmoid(alpha x): s + alpha y (1 - s) */
const swish = unary((at) => {
  const alpha = at.scalar(at.float('alpha', 1));
  const s = at.op('Sigmoid', [at.mul(alpha, at.input(0))]);
  return at.add(s, at.mul(at.mul(alpha, at.output()), at.sub(at.scalar(1), s)));
});

/** y = x t with t = tanh(softplus(x)): t + x (1 - t^2) sigmoid(x) */
const mish = unary((at) => {
  const x = at.input(0);
  const t = at.op('Tanh', [at.op('Softplus', [x])]);
  return at.add(t, at.mul(at.mul(x, oneMinusSquare(at, t)), at.op('Sigmoid', [x])));
});

/** 2 / sqrt(pi) e^(-x^2) */
const erf = unary((at) => {
  const x = at.input(0);
  return at.mul(at.scalar(2 / Math.sqrt(Math.PI)), at.op('Exp', [at.neg(at.mul(x, x))]));
});

/** y = x Phi(x), Phi and phi being the distribution and the density of the normal distribution: Phi(x) + x phi(x) */
function geluSlope(at: GradientNode): string {
  const x = at.input(0);
  const erfOfX = at.op('Erf', [at.mul(x, at.scalar(Math.SQRT1_2))]);
  const distribution = at.mul(at.scalar(0.5), at.add(at.scalar(1), erfOfX));
  const exponential = at.op('Exp', [at.mul(at.scalar(-0.5), at.mul(x, x))]);
  return at.add(distribution, at.mul(x, at.mul(at.scalar(1 / Math.sqrt(2 * Math.PI)), exponential)));
}

/** y = x (1 + t) / 2 with t = tanh(u), u = k (x + c x^3): (1 + t) / 2 + x (1 - t^2) / 2 k (1 + 3 c x^2) */
function tanhGeluSlope(at: GradientNode): string {
  const [x, one, half] = [at.input(0), at.scalar(1), at.scalar(0.5)];
  const [k, c] = [Math.sqrt(2 / Math.PI), 0.044715];
  const square = at.mul(x, x);
  const t = at.op('Tanh', [at.mul(at.mul(x, at.scalar(k)), at.add(one, at.mul(square, at.scalar(c))))]);
  const slopeOfU = at.mul(at.scalar(k), at.add(one, at.mul(square, at.scalar(3 * c))));
  return at.mul(half, at.add(at.add(one, t), at.mul(at.mul(x, oneMinusSquare(at, t)), slopeOfU)));
}

/** y (1 - y) */
const sigmoid = unary((at) => at.mul(at.output(), at.sub(at.scalar(1), at.output())));

/** y = x / (1 + |x|): 1 / (1 + |x|)^2 = (1 - |y|)^2 */
const softsign = unary((at) => {
  const root = at.sub(at.scalar(1), at.op('Abs', [at.output()]));
  return at.mul(root, root);
});

/** Activation functions, number by number. In the formulas x is the input, y the output, dy its gradient. */
export const ACTIVATION_RULES: GradientRules = new Map<string, GradientRule>([
  ['Relu', relu],
  ['LeakyRelu', leakyRelu],
  ['PRelu', pRelu],
  ['Elu', elu],
  ['Selu', selu],
  ['Celu', celu],
  ['ThresholdedRelu', thresholdedRelu],
  ['Sigmoid', sigmoid],
  ['Tanh', unary((at) => oneMinusSquare(at, at.output()))],
  ['Softplus', unary((at) => at.op('Sigmoid', [at.input(0)]))],
  ['Softsign', softsign],
  ['Shrink', shrink],
  ['HardSigmoid', hardSigmoid],
  ['HardSwish', hardSwish],
  ['Mish', mish],
  ['Swish', swish],
  ['Erf', erf],
  ['Gelu', unary((at) => (at.text('approximate', 'none') === 'tanh' ? tanhGeluSlope(at) : geluSlope(at)))],
]);

function isPositive(at: GradientNode, a: string): string {
  return at.op('Greater', [a, at.scalar(0)]);
}

/** 1 - t^2, the slope of t = tanh(x) */
function oneMinusSquare(at: GradientNode, t: string): string {
  return at.sub(at.scalar(1), at.mul(t, t));
}
