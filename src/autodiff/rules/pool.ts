import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';
import {
  areFixed,
  imageGradient,
  padsOf,
  remaindersOf,
  type Sliding,
  slidingOver,
  spatialSizes,
} from './convolution.ts';
import { scatterFlat } from './scatter.ts';

/** Each window's gradient goes to its largest pixel, whose place in the flat input the forward node says. */
const maxPool: GradientRule = (at) => {
  if (at.integer('storage_order', 0) !== 0) throw new Undifferentiable('storage_order 1 is not supported');
  return [scatterFlat(at, at.forwardOutput(1))];
};

/** Each pixel gets the gradients of its windows, each divided by the window's number of pixels: a ConvTranspose with a kernel of ones, every channel by itself. */
const averagePool: GradientRule = (at) => {
  const kernel = at.integers('kernel_shape') ?? [];
  const { sliding, remainders } = windowsOf(at, kernel);
  const ones = at.op('Expand', [at.scalar(1), at.integerVector([1, 1, ...kernel])]);
  const apart = at.reshape(at.gradient(), [-1, 1, ...kernel.map(() => 0)]);
  const shares = at.div(apart, windowSizes(at, kernel, sliding, ones));
  const found = imageGradient(at, { ...sliding, remainders, group: 1 }, shares, ones, at.input(0));
  return [at.reshapeLike(found, at.input(0))];
};

/** How the windows slide, and what is left of the image behind the last: null where its size is not fixed. */
function windowsOf(at: GradientNode, kernel: readonly number[]) {
  const [image, map] = [at.input(0), at.output()].map(
    (name) => at.shape(name)?.slice(2) ?? kernel.map(() => null),
  );
  const sliding = slidingOver(at, image, kernel);
  const remainders: readonly (number | null)[] = remaindersOf(sliding, { image, kernel, map });
  if (at.integer('ceil_mode', 0) === 0) return { sliding, remainders };
  if (!areFixed(remainders)) {
    throw new Undifferentiable('ceil_mode is supported where the spatial sizes are fixed');
  }
  // With ceil_mode the last windows may reach beyond the padded image.
  const beyond = remainders.map((remainder) => Math.max(0, -remainder));
  if (at.integer('count_include_pad', 0) !== 0 && beyond.some((count) => count > 0)) {
    throw new Undifferentiable('ceil_mode is not supported together with count_include_pad');
  }
  const padsAfter = sliding.padsAfter.map((count, axis) => count + beyond[axis]);
  return {
    sliding: { ...sliding, padsAfter },
    remainders: remainders.map((remainder) => Math.max(0, remainder)),
  };
}

/** How many pixels are averaged: all of a window, or those of them that are not padding. */
function windowSizes(at: GradientNode, kernel: readonly number[], sliding: Sliding, ones: string): string {
  const { strides, dilations } = sliding;
  const pads = padsOf(sliding);
  if (at.integer('count_include_pad', 0) !== 0 || pads.every((count) => count === 0)) {
    return at.scalar(kernel.reduce((count, size) => count * size, 1));
  }
  const x = at.input(0);
  const sizes = spatialSizes(at, x, at.shape(x)?.slice(2) ?? [null]);
  const image = at.op('Expand', [
    at.scalar(1),
    at.op('Concat', [at.integerVector([1, 1]), sizes], { axis: 0 }),
  ]);
  return at.op('Conv', [image, ones], { strides, dilations, pads });
}

/** Every pixel an equal share. */
const globalAveragePool: GradientRule = (at) => {
  const x = at.input(0);
  const count = at.div(at.op('Size', [x]), at.op('Size', [at.output()]));
  const share = at.div(at.gradient(), at.op('Cast', [count], { to: FLOAT }));
  return [at.expandLike(share, x)];
};

/** The largest pixels an equal share. */
const globalMaxPool: GradientRule = (at) => {
  const x = at.input(0);
  const pixels = Array.from({ length: at.rank(x) - 2 }, (_, axis) => axis + 2);
  const isLargest = at.indicator(at.op('Equal', [x, at.output()]));
  const share = at.div(at.gradient(), at.sum(isLargest, pixels));
  return [at.mul(isLargest, share)];
};

/** TensorProto's float32. */
const FLOAT = 1;

/** Windows, or whole images, that become one number. */
export const POOL_RULES: GradientRules = new Map([
  ['MaxPool', maxPool],
  ['AveragePool', averagePool],
  ['GlobalAveragePool', globalAveragePool],
  ['GlobalMaxPool', globalMaxPool],
]);
