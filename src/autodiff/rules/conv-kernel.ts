import type { GradientNode } from '../derivative.ts';
import { areFixed, type Convolution, padsOf, spatialAxes, spatialSizes } from './convolution.ts';

/** Up to so many kernel positions, a product of matrices for each is faster than a Conv with arguments swapped. */
const MOST_POSITIONS = 9;
/** Fewer input channels make matrices too thin for that. */
const LEAST_CHANNELS = 8;
/** An end of a slice. */
const TO_THE_END = 2 ** 31 - 1;

/** The gradient of a convolution's kernel: dK[o, i, k] = sum over n and p of image[n, i, p * stride + k * dilation - padBefore] * map[n, o, p]. */
export function kernelGradient(
  at: GradientNode,
  convolution: Convolution,
  image: string,
  map: string,
  kernel: string,
): string {
  const shape = at.shape(kernel);
  if (shape !== null && areFixed(shape) && suitsPositions(convolution, shape)) {
    return byPosition(at, { convolution, image, map, shape });
  }
  return bySwapping(at, convolution, image, map, kernel);
}

function suitsPositions({ group, strides }: Convolution, [, channels, ...sizes]: readonly number[]): boolean {
  const positions = sizes.reduce((count, size) => count * size, 1);
  if (positions === 1) return true;
  const isDense = channels >= LEAST_CHANNELS || (group > 1 && strides.every((stride) => stride === 1));
  return positions <= MOST_POSITIONS && isDense;
}

/** What a kernel of fixed `shape` slides over, and what comes out. */
interface Factors {
  readonly convolution: Convolution;
  readonly image: string;
  readonly map: string;
  readonly shape: readonly number[];
}

/** For each kernel position the product of two matrices: one of output channels by pixels, the map, and one of pixels by input channels, a slice of the padded image. */
function byPosition(at: GradientNode, factors: Factors): string {
  const { convolution, image, shape } = factors;
  const { group, kernel, padsBefore, padsAfter } = convolution;
  const isPadded = padsOf(convolution).some((count) => count !== 0);
  const pads = [0, 0, ...padsBefore, 0, 0, ...padsAfter];
  const padded = isPadded ? at.op('Pad', [image, at.integerVector(pads)]) : image;
  const isStacked = group === 1 && kernel.some((size) => size !== 1);
  const products = (isStacked ? stackedProducts : batchedProducts)(at, { ...factors, image: padded });
  if (products.length === 1) return at.reshape(products[0], shape);
  const rows = at.reshape(at.op('Concat', products, { axis: 0 }), [products.length, -1]);
  return at.reshape(at.transpose(rows, [1, 0]), shape);
}

/** Pixels of all samples one below the other: one product for all, faster with many channels and small maps. */
function stackedProducts(at: GradientNode, factors: Factors): string[] {
  const { convolution, image, map, shape } = factors;
  const [outputs, channels] = shape;
  const axes = spatialAxes(convolution);
  const maps = at.reshape(at.transpose(map, [1, 0, ...axes]), [outputs, -1]);
  const channelsLast = at.transpose(image, [0, ...axes, 1]);
  return slicesAt(at, { ...factors, image: channelsLast }, 1).map((pixels) =>
    at.op('MatMul', [maps, at.reshape(pixels, [-1, channels])]),
  );
}

/** A product for each sample and group, summed over the samples: nothing has to be transposed. */
function batchedProducts(at: GradientNode, factors: Factors): string[] {
  const { map, shape } = factors;
  const [outputs, channels] = shape;
  const { group } = factors.convolution;
  const perGroup = (pixels: string, count: number) =>
    at.reshape(pixels, group === 1 ? [0, count, -1] : [0, group, count, -1]);
  const maps = perGroup(map, outputs / group);
  const swap = group === 1 ? [0, 2, 1] : [0, 1, 3, 2];
  return slicesAt(at, factors, 2).map((pixels) => {
    const columns = at.transpose(perGroup(pixels, channels), swap);
    return at.sum(at.op('MatMul', [maps, columns]), [0]);
  });
}

/** For each kernel position the pixels that it multiplies, as many as the map has; `firstAxis` is the first of pixels. */
function slicesAt(
  at: GradientNode,
  { convolution, image, map, shape }: Factors,
  firstAxis: number,
): string[] {
  const { strides, dilations } = convolution;
  const positions = positionsOf(shape.slice(2));
  const axes = at.integerVector(strides.map((_, axis) => firstAxis + axis));
  const slice = (starts: readonly number[], ends: string) =>
    at.op('Slice', [image, at.integerVector(starts), ends, axes, at.integerVector(strides)]);
  if (positions.length === 1) {
    if (strides.every((stride) => stride === 1)) return [image];
    return [slice(positions[0], at.integerVector(strides.map(() => TO_THE_END)))];
  }
  const endsAfter = endsOfSlices(at, convolution, map);
  return positions.map((position) => {
    const starts = position.map((index, axis) => index * dilations[axis]);
    return slice(starts, endsAfter(starts));
  });
}

/** Where slices end that have as many pixels as the map: start + (pixels - 1) * stride + 1. */
function endsOfSlices(
  at: GradientNode,
  { strides, map: sizes }: Convolution,
  map: string,
): (starts: readonly number[]) => string {
  if (areFixed(sizes)) {
    return (starts) =>
      at.integerVector(starts.map((start, axis) => start + (sizes[axis] - 1) * strides[axis] + 1));
  }
  const ones = at.integerVector(strides.map(() => 1));
  const steps = at.sub(spatialSizes(at, map, sizes), ones);
  const ends = at.add(at.mul(steps, at.integerVector(strides)), ones);
  return (starts) => at.add(ends, at.integerVector(starts));
}

/** All index vectors of a kernel of these sizes, the last index fastest. */
function positionsOf(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (positions, size) =>
      positions.flatMap((position) => Array.from({ length: size }, (_, index) => [...position, index])),
    [[]],
  );
}

/** A Conv over images whose batch are the input channels and whose channels are the batch, with the map as its kernel: strides and dilations change places. */
function bySwapping(
  at: GradientNode,
  convolution: Convolution,
  image: string,
  map: string,
  kernel: string,
): string {
  const { group, strides, dilations, padsBefore, padsAfter, remainders } = convolution;
  const swap = [1, 0, ...spatialAxes(convolution)];
  const images = group === 1 ? at.transpose(image, swap) : batchIntoChannels(at, convolution, image);
  // The remainder would make room for more places than the kernel has: first the pads go, then those places.
  const spare = remainders.map((remainder, axis) => Math.min(remainder ?? 0, padsAfter[axis]));
  const found = at.op('Conv', [images, at.transpose(map, swap)], {
    group,
    strides: dilations,
    dilations: strides,
    pads: [...padsBefore, ...padsAfter.map((count, axis) => count - spare[axis])],
  });
  const isExact = remainders.every(
    (remainder, axis) => remainder !== null && remainder - spare[axis] < dilations[axis],
  );
  return at.transpose(isExact ? found : cropToKernel(at, convolution, found, kernel), swap);
}

function cropToKernel(at: GradientNode, convolution: Convolution, found: string, kernel: string): string {
  const starts = at.integerVector(convolution.strides.map(() => 0));
  const ends = spatialSizes(at, kernel, convolution.kernel);
  return at.op('Slice', [found, starts, ends, at.integerVector(spatialAxes(convolution))]);
}

/** [N, G*I, ...] to [I, G*N, ...]. */
function batchIntoChannels(at: GradientNode, convolution: Convolution, image: string): string {
  const pixels = spatialSizes(at, image, convolution.image);
  const to = (first: readonly number[]) => at.op('Concat', [at.integerVector(first), pixels], { axis: 0 });
  const parted = at.reshape(image, to([0, convolution.group, -1]));
  const axes = spatialAxes(convolution).map((axis) => axis + 1);
  return at.reshape(at.transpose(parted, [2, 1, 0, ...axes]), to([0, -1]));
}
