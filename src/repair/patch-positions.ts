import { RandomWords } from '../core/random-words.ts';
import { elementCount } from '../formats/model.ts';

/** What a convolution sees at a time, and how it moves over the spatial axes. */
export interface PatchWindow {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Before every axis, then behind every one. Where `autoPad` says so they follow from the sizes. */
  readonly pads: readonly number[];
  readonly autoPad: string;
}

const PADDING = -1n;

/** Of one axis: positions of the window, and what is padded before. */
interface AxisSteps {
  readonly count: number;
  readonly before: number;
}

/** How many positions the window has over spatial axes of these sizes. */
export function countPositions(window: PatchWindow, sizes: readonly number[]): number {
  return elementCount(sizes.map((_, axis) => stepsOf(window, sizes, axis).count));
}

/**
 * `count` of `total` positions, ascending: one drawn of each of `count` stretches of equal length, so that they are spread evenly and follow no pattern of the image.
 * The same `seed` gives the same ones.
 */
export function drawPositions(total: number, count: number, seed: number): number[] {
  if (count >= total) return Array.from({ length: total }, (_, position) => position);
  return Array.from(drawShares(count, seed), (share) => Math.floor(share * total));
}

/** `count` numbers of `[0, 1)`, ascending: one drawn of each of `count` stretches of equal length. The same `seed` gives the same ones. */
export function drawShares(count: number, seed: number): Float64Array<ArrayBuffer> {
  const words = new RandomWords(seed);
  return Float64Array.from({ length: count }, (_, i) => (i + 1 - words.nextShare()) / count);
}

/**
 * For each of the positions, and each place of the kernel, where that stands in the flattened spatial axes; -1 for what is padded: `[positions, kernel places]`.
 */
export function patchIndices(
  window: PatchWindow,
  sizes: readonly number[],
  positions: readonly number[],
): BigInt64Array<ArrayBuffer> {
  const { kernel, strides, dilations } = window;
  const places = elementCount(kernel);
  const steps = sizes.map((_, axis) => stepsOf(window, sizes, axis));
  const indices = new BigInt64Array(positions.length * places);
  for (let at = 0; at < indices.length; at++) {
    let [position, place] = [positions[Math.floor(at / places)], at % places];
    let [index, unit, isInside] = [0, 1, true];
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const { count, before } = steps[axis];
      const start = (position % count) * strides[axis] - before;
      const coordinate = start + (place % kernel[axis]) * dilations[axis];
      isInside &&= coordinate >= 0 && coordinate < sizes[axis];
      index += coordinate * unit;
      unit *= sizes[axis];
      position = Math.floor(position / count);
      place = Math.floor(place / kernel[axis]);
    }
    indices[at] = isInside ? BigInt(index) : PADDING;
  }
  return indices;
}

function stepsOf(window: PatchWindow, sizes: readonly number[], axis: number): AxisSteps {
  const { kernel, strides, dilations, pads, autoPad } = window;
  const [size, stride] = [sizes[axis], strides[axis]];
  const extent = (kernel[axis] - 1) * dilations[axis] + 1;
  if (autoPad.startsWith('SAME')) {
    const count = Math.ceil(size / stride);
    const padded = Math.max(0, (count - 1) * stride + extent - size);
    return { count, before: autoPad === 'SAME_LOWER' ? Math.ceil(padded / 2) : Math.floor(padded / 2) };
  }
  const [before, behind] = autoPad === 'VALID' ? [0, 0] : [pads[axis], pads[axis + sizes.length]];
  return { count: Math.floor((size + before + behind - extent) / stride) + 1, before };
}
