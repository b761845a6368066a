import type { RandomWords } from '../core/random-words.ts';

/** `n` numbers that are 1 or -1 with equal chances: the bits of `ceil(n / 32)` words, lowest first, 1 for a set bit. */
export function rademacher(words: RandomWords, n: number): Float32Array<ArrayBuffer> {
  const signs = new Float32Array(n);
  let word = 0;
  for (let i = 0; i < n; i++) {
    word = i % 32 === 0 ? words.next() : word >>> 1;
    signs[i] = word & 1 ? 1 : -1;
  }
  return signs;
}
