import { elementCount } from '../../src/formats/model.ts';
import type { Fetched } from '../../src/formats/numbers.ts';
import { toFloat64 } from '../../src/formats/numbers.ts';

/** The numbers at the positions kept along each axis. */
export function pickAlong({ dtype, shape, data }: Fetched, kept: readonly (readonly number[])[]): Fetched {
  const sizes = kept.map((positions) => positions.length);
  const picked = toFloat64(data).subarray(0, elementCount(sizes)).slice();
  const numbers = toFloat64(data);
  for (let element = 0; element < picked.length; element++) {
    let [rest, from, stride] = [element, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += kept[axis][rest % sizes[axis]] * stride;
      rest = Math.floor(rest / sizes[axis]);
      stride *= shape[axis];
    }
    picked[element] = numbers[from];
  }
  return { dtype, shape: sizes, data: picked };
}

/** Largest difference relative to the largest number expected; infinite where only one is NaN. */
export function relativeDifference(found: Fetched, expected: Fetched): number {
  const [numbers, others] = [toFloat64(found.data), toFloat64(expected.data)];
  let [largest, difference] = [0, 0];
  for (const [i, other] of others.entries()) {
    if (Number.isFinite(other)) largest = Math.max(largest, Math.abs(other));
    if (Object.is(numbers[i], other) || numbers[i] === other) continue;
    const off = Math.abs(numbers[i] - other);
    difference = Math.max(difference, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
  }
  return difference === 0 ? 0 : difference / largest;
}

/** What differs; null where nothing does by more than `tolerance` of the largest number. */
export function difference(found: Fetched, expected: Fetched, tolerance: number): string | null {
  if (found.shape.join() !== expected.shape.join())
    return `has shape [${found.shape}], expected [${expected.shape}]`;
  const relative = relativeDifference(found, expected);
  return relative <= tolerance ? null : `differs by ${relative.toExponential(1)} of its largest number`;
}
