import { RandomWords } from '../core/random-words.ts';

/** Places of samples, ascending. */
export interface SampleParts {
  readonly first: Uint32Array;
  readonly second: Uint32Array;
}

/**
 * Two parts of samples, drawn by the seed alone.
 * @param atATime samples that stay together, those of a model's fixed batch; `nSamples` is a multiple of it
 * @param share of the second part, which is never empty, nor is the first
 * @returns null where there is nothing to part
 */
export function splitSamples(
  nSamples: number,
  atATime: number,
  share: number,
  seed: number,
): SampleParts | null {
  const units = nSamples / atATime;
  if (units < 2) return null;
  const random = new RandomWords(seed);
  const shuffled = Uint32Array.from({ length: units }, (_, unit) => unit);
  for (let last = units - 1; last > 0; last--) {
    const other = Math.floor((random.next() / 2 ** 32) * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other], shuffled[last]];
  }
  const nSecond = Math.min(units - 1, Math.max(1, Math.ceil(units * share)));
  return {
    first: placesOf(shuffled.subarray(nSecond), atATime),
    second: placesOf(shuffled.subarray(0, nSecond), atATime),
  };
}

function placesOf(units: Uint32Array, atATime: number): Uint32Array {
  const ascending = units.toSorted();
  return Uint32Array.from(
    { length: units.length * atATime },
    (_, i) => ascending[Math.floor(i / atATime)] * atATime + (i % atATime),
  );
}
