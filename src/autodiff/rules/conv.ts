import type { Size } from '../../graph/value-facts.ts';
import type { GradientNode, GradientRule, GradientRules } from '../derivative.ts';
import { kernelGradient } from './conv-kernel.ts';
import { imageGradient, padsOf, remaindersOf, slidingBack, slidingOver, spatialAxes } from './convolution.ts';

const conv: GradientRule = (at) => {
  const [image, kernel, gradient] = [at.input(0), at.input(1), at.gradient()];
  const sizes = {
    image: spatialShape(at, image),
    kernel: kernelShape(at),
    map: spatialShape(at, at.output()),
  };
  const sliding = slidingOver(at, sizes.image, sizes.kernel);
  const remainders = remaindersOf(sliding, sizes);
  const convolution = { ...sliding, ...sizes, remainders, group: at.integer('group', 1) };
  return [
    at.needs(0) ? imageGradient(at, convolution, gradient, kernel, image) : null,
    at.needs(1) ? kernelGradient(at, convolution, image, gradient, kernel) : null,
    at.needs(2) ? at.sum(gradient, [0, ...spatialAxes(sliding)], false) : null,
  ];
};

/** Makes an image from a map, so that the gradient of the map is the Conv of the image's. */
const convTranspose: GradientRule = (at) => {
  const [map, kernel, gradient] = [at.input(0), at.input(1), at.gradient()];
  const sizes = { image: spatialShape(at, at.output()), kernel: kernelShape(at), map: spatialShape(at, map) };
  const sliding = slidingBack(at, sizes);
  const { strides, dilations } = sliding;
  const added = at.integers('output_padding');
  const remainders = remaindersOf(sliding, sizes).map((remainder, axis) => remainder ?? added?.[axis] ?? 0);
  const [group, pads] = [at.integer('group', 1), padsOf(sliding)];
  const convolution = { ...sliding, ...sizes, remainders, group };
  return [
    at.needs(0) ? at.op('Conv', [gradient, kernel], { group, strides, dilations, pads }) : null,
    at.needs(1) ? kernelGradient(at, convolution, gradient, map, kernel) : null,
    at.needs(2) ? at.sum(gradient, [0, ...spatialAxes(sliding)], false) : null,
  ];
};

function kernelShape(at: GradientNode): readonly Size[] {
  return at.integers('kernel_shape') ?? spatialShape(at, at.input(1));
}

function spatialShape(at: GradientNode, name: string): readonly Size[] {
  return at.shape(name)?.slice(2) ?? Array.from({ length: at.rank(at.input(0)) - 2 }, () => null);
}

/** See `Convolution` for the sum that both are made of. */
export const CONV_RULES: GradientRules = new Map([
  ['Conv', conv],
  ['ConvTranspose', convTranspose],
]);
