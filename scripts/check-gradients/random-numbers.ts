import { RandomWords } from '../../src/core/random-words.ts';

/** The same numbers in every run. */
export class RandomNumbers {
  readonly #words = new RandomWords(1);

  /** From 0 to 1. */
  next(): number {
    return this.#words.next() / 2 ** 32;
  }

  /** From -1 to 1. */
  signed(length: number): Float32Array {
    return Float32Array.from({ length }, () => 2 * this.next() - 1);
  }
}
