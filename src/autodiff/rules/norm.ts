import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';

/** Y = scale * (X - mean) / deviation + bias with mean and deviation = sqrt(variance + epsilon) given by channel. */
const batchNormalization: GradientRule = (at) => {
  if (at.integer('training_mode', 0) !== 0) {
    throw new Undifferentiable('training_mode 1 is not supported: export the model for inference');
  }
  const [x, scale, mean, variance] = [at.input(0), at.input(1), at.input(3), at.input(4)];
  const gradient = at.gradient();
  const rank = at.rank(x);
  const others = axesFrom(0, rank).filter((axis) => axis !== 1);
  const inverse = reciprocalRoot(at, at.add(variance, epsilonOf(at)));
  const byChannel = (values: string) => perChannel(at, values, rank);
  const gain = at.mul(scale, inverse);
  const centered = () => at.sub(x, byChannel(mean));
  const alongCentered = () => at.sum(at.mul(gradient, centered()), others, false);
  const total = () => at.sum(gradient, others, false);
  const gradientOfVariance = () =>
    at.mul(at.scalar(-0.5), at.mul(alongCentered(), at.mul(gain, at.mul(inverse, inverse))));
  return [
    at.needs(0) ? at.mul(gradient, byChannel(gain)) : null,
    at.needs(1) ? at.mul(inverse, alongCentered()) : null,
    at.needs(2) ? total() : null,
    at.needs(3) ? at.neg(at.mul(gain, total())) : null,
    at.needs(4) ? gradientOfVariance() : null,
  ];
};

/** Y = scale * Z + bias, Z being X normalized over the axes from `axis` on. */
const layerNormalization: GradientRule = (at) => {
  if (at.optionalGradient(1) !== null || at.optionalGradient(2) !== null) {
    throw new Undifferentiable('only the first output has a gradient rule');
  }
  const [x, scale, bias, gradient] = [at.input(0), at.input(1), at.optionalInput(2), at.gradient()];
  const normalized = normalize(at, x, axesFrom(at.axis('axis', -1, x), at.rank(x)));
  return [
    at.needs(0) ? gradientThrough(at, normalized, at.mul(gradient, scale)) : null,
    at.needs(1) ? at.unbroadcast(at.mul(gradient, normalized.values), scale, at.output()) : null,
    bias !== null && at.needs(2) ? at.unbroadcast(gradient, bias, at.output()) : null,
  ];
};

/** Y = scale * Z with Z = X / sqrt(mean(X^2) + epsilon) over the axes from `axis` on: dX = (dZ - Z * mean(dZ * Z)) / sqrt(mean(X^2) + epsilon). */
const rmsNormalization: GradientRule = (at) => {
  if (at.optionalGradient(1) !== null)
    throw new Undifferentiable('only the first output has a gradient rule');
  const [x, scale, gradient] = [at.input(0), at.input(1), at.gradient()];
  const axes = axesFrom(at.axis('axis', -1, x), at.rank(x));
  const inverse = reciprocalRoot(at, at.add(at.mean(at.mul(x, x), axes), epsilonOf(at)));
  const values = at.mul(x, inverse);
  const gradientOfX = () => {
    const scaled = at.mul(gradient, scale);
    const along = at.mul(values, at.mean(at.mul(scaled, values), axes));
    return at.mul(inverse, at.sub(scaled, along));
  };
  return [
    at.needs(0) ? gradientOfX() : null,
    at.needs(1) ? at.unbroadcast(at.mul(gradient, values), scale, at.output()) : null,
  ];
};

/** Y = scale * Z + bias by channel, Z being X normalized over the pixels of each sample and channel. */
const instanceNormalization: GradientRule = (at) => {
  const [x, scale, gradient] = [at.input(0), at.input(1), at.gradient()];
  const rank = at.rank(x);
  const pixels = axesFrom(2, rank);
  const normalized = normalize(at, x, pixels);
  const gradientOfX = () => gradientThrough(at, normalized, at.mul(gradient, perChannel(at, scale, rank)));
  return [
    at.needs(0) ? gradientOfX() : null,
    at.needs(1) ? at.sum(at.mul(gradient, normalized.values), [0, ...pixels], false) : null,
    at.needs(2) ? at.sum(gradient, [0, ...pixels], false) : null,
  ];
};

/** The same over the channels of a group together; opset 18 has a scale and a bias for each group, 21 for each channel. */
const groupNormalization: GradientRule = (at) => {
  const [x, scale] = [at.input(0), at.input(1)];
  const [scales] = at.fixedShape(scale);
  const groups = at.integer('num_groups', 1);
  const perScale = (values: string) => at.reshape(values, [0, scales, -1]);
  const perGroup = (values: string) => at.reshape(values, [0, groups, -1]);
  const normalized = normalize(at, perGroup(x), [2]);
  const gradient = perScale(at.gradient());
  const gradientOfX = () => {
    const scaled = at.mul(gradient, perChannel(at, scale, 3));
    return at.reshapeLike(gradientThrough(at, normalized, perGroup(scaled)), x);
  };
  const gradientOfScale = () => at.sum(at.mul(gradient, perScale(normalized.values)), [0, 2], false);
  return [
    at.needs(0) ? gradientOfX() : null,
    at.needs(1) ? gradientOfScale() : null,
    at.needs(2) ? at.sum(gradient, [0, 2], false) : null,
  ];
};

/** Y = X / norm: dX = (dY - norm' * sum(dY * Y)) / norm, with norm' = sign(X) or Y. Zeros, which have no direction, get zeros. */
const lpNormalization: GradientRule = (at) => {
  const [x, y, gradient] = [at.input(0), at.output(), at.gradient()];
  const axes = [at.axis('axis', -1, x)];
  const isAbsolute = at.integer('p', 2) === 1;
  const total = at.sum(isAbsolute ? at.op('Abs', [x]) : at.mul(x, x), axes);
  const isPositive = at.op('Greater', [total, at.scalar(0)]);
  // 1 instead of 0, for the second sweep goes through root and division too, and 0 / 0 times 0 is no 0.
  const divisor = at.op('Where', [isPositive, total, at.scalar(1)]);
  const norm = isAbsolute ? divisor : at.op('Sqrt', [divisor]);
  const slope = isAbsolute ? at.op('Sign', [x]) : y;
  const across = at.sub(gradient, at.mul(slope, at.sum(at.mul(gradient, y), axes)));
  return [at.where(isPositive, at.div(across, norm))];
};

interface Normalized {
  /** Mean 0 and variance 1 over the axes. */
  readonly values: string;
  /** 1 / sqrt(variance + epsilon). */
  readonly inverse: string;
  readonly axes: readonly number[];
}

/** Z = (X - mean(X)) / sqrt(variance(X) + epsilon) over some axes, computed anew. */
function normalize(at: GradientNode, x: string, axes: readonly number[]): Normalized {
  const centered = at.sub(x, at.mean(x, axes));
  const variance = at.mean(at.mul(centered, centered), axes);
  const inverse = reciprocalRoot(at, at.add(variance, epsilonOf(at)));
  return { values: at.mul(centered, inverse), inverse, axes };
}

/** dX of Z: (dZ - mean(dZ) - Z * mean(dZ * Z)) / sqrt(variance + epsilon). */
function gradientThrough(at: GradientNode, { values, inverse, axes }: Normalized, gradient: string): string {
  const along = at.mul(values, at.mean(at.mul(gradient, values), axes));
  return at.mul(inverse, at.sub(at.sub(gradient, at.mean(gradient, axes)), along));
}

function epsilonOf(at: GradientNode): string {
  return at.scalar(at.float('epsilon', 1e-5));
}

function reciprocalRoot(at: GradientNode, squares: string): string {
  return at.op('Reciprocal', [at.op('Sqrt', [squares])]);
}

/** A vector with one number for each channel, to multiply values of axes [sample, channel, ...]. */
function perChannel(at: GradientNode, values: string, rank: number): string {
  return at.reshape(values, [1, -1, ...axesFrom(2, rank).map(() => 1)]);
}

function axesFrom(first: number, rank: number): number[] {
  return Array.from({ length: rank - first }, (_, index) => first + index);
}

/** Values brought to a common mean and scale. */
export const NORM_RULES: GradientRules = new Map([
  ['BatchNormalization', batchNormalization],
  ['LayerNormalization', layerNormalization],
  ['RMSNormalization', rmsNormalization],
  ['SimplifiedLayerNormalization', rmsNormalization],
  ['InstanceNormalization', instanceNormalization],
  ['GroupNormalization', groupNormalization],
  ['LpNormalization', lpNormalization],
]);
