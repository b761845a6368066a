/** EMP by its definition, with a sort: what the radix selection must agree with. */
export interface Expected {
  readonly nEff: number;
  readonly nKeep: number;
  readonly threshold: number;
  readonly preservedMass: number;
  readonly kept: number[];
}

export function decideBySorting(scores: ArrayLike<number>, beta: number): Expected {
  const magnitudes = Array.from(scores, Math.abs);
  const max = magnitudes.reduce((a, b) => Math.max(a, b), 0);
  const scaled = magnitudes.map((score) => score / max).sort((a, b) => a - b);
  const sum = scaled.reduce((a, b) => a + b, 0);
  const nEff = sum ** 2 / scaled.reduce((a, b) => a + b * b, 0);
  const nKeep = Math.min(magnitudes.length, Math.max(1, Math.floor(beta * nEff * (1 + 2 ** -40))));
  const order = magnitudes.map((_, i) => i).sort((a, b) => magnitudes[b] - magnitudes[a] || a - b);
  const kept = order.slice(0, nKeep);
  return {
    nEff,
    nKeep,
    threshold: magnitudes[kept[nKeep - 1]],
    preservedMass: scaled.slice(-nKeep).reduce((a, b) => a + b, 0) / sum,
    kept: kept.sort((a, b) => a - b),
  };
}

export function assertClose(actual: number, expected: number, what: string, relative = 1e-9): void {
  const difference = Math.abs(actual - expected);
  if (!(difference <= relative * Math.abs(expected)))
    throw new Error(`${what}: ${actual}, expected ${expected}`);
}

/** A small fast generator with a seed, uniform on [0, 1): Mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
