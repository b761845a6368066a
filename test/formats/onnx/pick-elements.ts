import fc from 'fast-check';

export type Kept = (number[] | null)[];

/** The obvious way: element by element, by its coordinates. */
export function pick(bytes: Uint8Array, shape: number[], kept: Kept, byteWidth: number): Uint8Array {
  let offsets = [0];
  for (const [axis, size] of shape.entries()) {
    const positions = kept[axis] ?? Array.from({ length: size }, (_, at) => at);
    offsets = offsets.flatMap((offset) => positions.map((at) => offset * size + at));
  }
  const picked = new Uint8Array(offsets.length * byteWidth);
  for (const [i, offset] of offsets.entries()) {
    for (let byte = 0; byte < byteWidth; byte++) {
      picked[i * byteWidth + byte] = bytes[offset * byteWidth + byte];
    }
  }
  return picked;
}

/** Nothing removed, by null or by naming every position, or any subset of an axis. */
export const keptOf = (size: number): fc.Arbitrary<number[] | null> => {
  const every = Array.from({ length: size }, (_, at) => at);
  return fc.oneof(fc.constant(null), fc.subarray(every), fc.constant(every));
};
