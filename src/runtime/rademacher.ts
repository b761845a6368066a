/** xoshiro128** 1.1 of Blackman and Vigna, whose four words of state are a seed that went through MurmurHash3's finalizer. */
export class RandomWords {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = Uint32Array.from([1, 2, 3, 4], (index) => mix(seed + Math.imul(index, 0x9e3779b9)));
  }

  /** 32 random bits. */
  next(): number {
    const state = this.#state;
    const word = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 11);
    return word;
  }
}

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

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
