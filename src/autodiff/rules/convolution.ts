import type { Size } from '../../graph/value-facts.ts';
import { type GradientNode, Undifferentiable } from '../derivative.ts';

/**
 * What ties three tensors together: an `image` [N, G*I, ...], a `kernel` [G*O, I, ...] and a `map` [N, G*O, ...], the sum over channels i and kernel positions k
 *
 *     map[n, o, p] = sum image[n, i, p * stride + k * dilation - padBefore] * kernel[o, i, k]
 *
 * Conv makes the map of image and kernel, ConvTranspose the image of map and kernel, and the gradient of the kernel comes from image and map. All lists go by spatial axis.
 */
export interface Convolution extends Sliding {
  readonly group: number;
  /** Spatial sizes. */
  readonly image: readonly Size[];
  readonly kernel: readonly Size[];
  readonly map: readonly Size[];
  /** What is left of the padded image behind the last place of the kernel. */
  readonly remainders: readonly (number | null)[];
}

export interface Sliding {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padsBefore: readonly number[];
  readonly padsAfter: readonly number[];
}

/** How a Conv, or a pool, slides over an image. */
export function slidingOver(at: GradientNode, image: readonly Size[], kernel: readonly Size[]): Sliding {
  const { strides, dilations } = stepsOf(at, kernel.length);
  const mode = at.text('auto_pad', 'NOTSET');
  if (mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER') {
    return { strides, dilations, ...explicitPads(at, kernel.length) };
  }
  const totals = strides.map((stride, axis) => {
    const [size, length] = [image[axis], spanOf(kernel[axis], dilations[axis])];
    if (length !== null && stride === 1) return length - 1;
    if (length === null || typeof size !== 'number') {
      throw new Undifferentiable(
        `auto_pad ${mode} is supported where the sizes of image and kernel are fixed`,
      );
    }
    return Math.max(0, (Math.ceil(size / stride) - 1) * stride + length - size);
  });
  return { strides, dilations, ...sharePads(totals, mode === 'SAME_UPPER') };
}

/** How a ConvTranspose slides over the image that it makes. */
export function slidingBack(
  at: GradientNode,
  { image, kernel, map }: Pick<Convolution, 'image' | 'kernel' | 'map'>,
): Sliding {
  const { strides, dilations } = stepsOf(at, kernel.length);
  const mode = at.text('auto_pad', 'NOTSET');
  const isSame = mode === 'SAME_UPPER' || mode === 'SAME_LOWER';
  if (!isSame && !at.has('output_shape')) return { strides, dilations, ...explicitPads(at, kernel.length) };
  const added = at.integers('output_padding');
  const totals = strides.map((stride, axis) => {
    const [size, places, length] = [image[axis], map[axis], spanOf(kernel[axis], dilations[axis])];
    if (length === null || typeof size !== 'number' || typeof places !== 'number') {
      throw new Undifferentiable('auto_pad and output_shape are supported where the spatial sizes are fixed');
    }
    return Math.max(0, (places - 1) * stride + length + (added?.[axis] ?? 0) - size);
  });
  return { strides, dilations, ...sharePads(totals, mode === 'SAME_UPPER') };
}

function stepsOf(at: GradientNode, spatialRank: number): Pick<Sliding, 'strides' | 'dilations'> {
  const ones = Array.from({ length: spatialRank }, () => 1);
  return { strides: at.integers('strides') ?? ones, dilations: at.integers('dilations') ?? ones };
}

function explicitPads(at: GradientNode, spatialRank: number): Pick<Sliding, 'padsBefore' | 'padsAfter'> {
  const none = Array.from({ length: 2 * spatialRank }, () => 0);
  const pads = at.text('auto_pad', 'NOTSET') === 'VALID' ? none : (at.integers('pads') ?? none);
  return { padsBefore: pads.slice(0, spatialRank), padsAfter: pads.slice(spatialRank) };
}

/** Of an odd number of pads the one more goes after the image, or before it. */
function sharePads(totals: readonly number[], moreAfter: boolean): Pick<Sliding, 'padsBefore' | 'padsAfter'> {
  const [less, more] = [totals.map((total) => total >> 1), totals.map((total) => (total + 1) >> 1)];
  return moreAfter ? { padsBefore: less, padsAfter: more } : { padsBefore: more, padsAfter: less };
}

/** Pixels from a kernel's first position to its last. */
function spanOf(positions: Size, dilation: number): number | null {
  return typeof positions === 'number' ? (positions - 1) * dilation + 1 : null;
}

export function padsOf({ padsBefore, padsAfter }: Sliding): number[] {
  return [...padsBefore, ...padsAfter];
}

/** See `Convolution`; null where a size is not fixed. */
export function remaindersOf(
  { strides, dilations, padsBefore, padsAfter }: Sliding,
  { image, kernel, map }: Pick<Convolution, 'image' | 'kernel' | 'map'>,
): (number | null)[] {
  return strides.map((stride, axis) => {
    if (stride === 1) return 0;
    const [size, places, length] = [image[axis], map[axis], spanOf(kernel[axis], dilations[axis])];
    if (length === null || typeof size !== 'number' || typeof places !== 'number') return null;
    return size + padsBefore[axis] + padsAfter[axis] - ((places - 1) * stride + length);
  });
}

/** The gradient of the image that a Conv reads: the ConvTranspose of the map's gradient. The remainder, which no place of the kernel reaches, gets zeros. */
export function imageGradient(
  at: GradientNode,
  convolution: Sliding & Pick<Convolution, 'group' | 'remainders'>,
  gradient: string,
  kernel: string,
  image: string,
): string {
  const { group, strides, dilations, padsBefore, remainders } = convolution;
  const transposed = (pads: readonly number[], output_padding: readonly number[]) =>
    at.op('ConvTranspose', [gradient, kernel], { group, strides, dilations, pads, output_padding });
  if (areFixed(remainders)) return transposed(padsOf(convolution), remainders);
  // What is too much behind the image, or too little, shows when the model runs.
  const none = strides.map(() => 0);
  const found = transposed([...padsBefore, ...none], none);
  const missing = at.sub(at.op('Shape', [image], { start: 2 }), at.op('Shape', [found], { start: 2 }));
  const others = at.integerVector([0, 0, ...none, 0, 0]);
  return at.op('Pad', [found, at.op('Concat', [others, missing], { axis: 0 })]);
}

export function areFixed(sizes: readonly Size[]): sizes is readonly number[] {
  return sizes.every((size) => typeof size === 'number');
}

/** The axes of the pixels, counted from the front. */
export function spatialAxes({ strides }: Sliding): number[] {
  return strides.map((_, axis) => axis + 2);
}

/** Spatial sizes of a value as a value; `sizes` where they are fixed. */
export function spatialSizes(at: GradientNode, name: string, sizes: readonly Size[]): string {
  return areFixed(sizes) ? at.integerVector(sizes) : at.op('Shape', [name], { start: 2 });
}
