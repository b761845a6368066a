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

  /** A number in `(0, 1]`, a multiple of 2^-24. */
  nextShare(): number {
    return ((this.next() >>> 8) + 1) * 2 ** -24;
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
