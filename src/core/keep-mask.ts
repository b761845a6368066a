import { BLOCK } from './kernel.ts';

/** Indices of the kept among `n` components, ascending. Bit `i & 7` of byte `i >> 3` says whether component i is kept. */
export function keptIndices(keepMask: Uint8Array, n: number): Uint32Array {
  const indices = new Uint32Array(n);
  let kept = 0;
  for (let i = 0; i < n; i++) {
    if (keepMask[i >> 3] & (1 << (i & 7))) indices[kept++] = i;
  }
  return indices.slice(0, kept);
}

/** 1 for each of `n` components that a packed keep mask keeps, 0 for the others. */
export function unpackMask(keepMask: Uint8Array, n: number): Uint8Array {
  return Uint8Array.from({ length: n }, (_, i) => (keepMask[i >> 3] >> (i & 7)) & 1);
}

/** The packed keep mask of components of which 1 or true is kept and 0 or false is not. */
export function packMask(kept: readonly boolean[] | Uint8Array): Uint8Array {
  const mask = new Uint8Array(Math.ceil(kept.length / 8));
  for (let i = 0; i < kept.length; i++) mask[i >> 3] |= Number(kept[i]) << (i & 7);
  return mask;
}

/** How many components a packed keep mask keeps. */
export function countKept(keepMask: Uint8Array): number {
  let count = 0;
  for (const byte of keepMask) {
    const pairs = byte - ((byte >> 1) & 0x55);
    const nibbles = (pairs & 0x33) + ((pairs >> 2) & 0x33);
    count += (nibbles + (nibbles >> 4)) & 0x0f;
  }
  return count;
}

/**
 * Sums of the squares of the scores that `keepMask` drops, times `scale` (a power of two) before they are squared: one for every BLOCK into
 * `sums`, from `offset` on.
 */
export function sumDroppedSquares(
  scores: Float32Array | Float64Array,
  keepMask: Uint8Array,
  scale: number,
  sums: Float64Array,
  offset: number,
): void {
  for (let first = 0; first < scores.length; first += BLOCK) {
    const end = Math.min(first + BLOCK, scores.length);
    let sum = 0;
    for (let i = first; i < end; i++) {
      const dropped = (~keepMask[i >> 3] >> (i & 7)) & 1;
      const score = scores[i] * scale * dropped;
      sum += score * score;
    }
    sums[offset + first / BLOCK] = sum;
  }
}

/**
 * Zeroes, all bits, the elements of `byteWidth` bytes whose bit in `keepMask` is 0. `weights` begins at a multiple of
 * its element's width (of 4 for 8 bytes) in its buffer.
 */
export function zeroDropped(weights: Uint8Array, byteWidth: 2 | 4 | 8, keepMask: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = weights;
  const words =
    byteWidth === 2
      ? new Int16Array(buffer, byteOffset, byteLength / 2)
      : new Int32Array(buffer, byteOffset, byteLength / 4);
  const shift = byteWidth === 8 ? 1 : 0;
  for (let i = 0; i < words.length; i++) {
    const element = i >> shift;
    words[i] &= -((keepMask[element >> 3] >> (element & 7)) & 1);
  }
}
