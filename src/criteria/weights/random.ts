import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { RandomWords } from '../../core/random-words.ts';
import { weightCount } from '../../formats/model.ts';
import type { ScoreRange, WeightScorer } from '../context.ts';

/** A megabyte of scores at a time. */
const CHUNK_ELEMENTS = 2 ** 18;

/**
 * Scores that are drawn evenly from `(0, 1]`, in steps of 2^-24, one after the other in the tensors' order: what every other criterion has to be better than. Their
 * `N_eff` is about three quarters of N, so that beta 1 drops a quarter.
 */
export const score: WeightScorer<'random'> = async (tensors, { seed, scratchDirectory, signal }) => {
  const path = join(scratchDirectory, 'scores-random');
  const words = new RandomWords(seed);
  await using file = await open(path, 'w');
  const ranges: ScoreRange[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const { name } = tensor;
    const n = weightCount(tensor);
    ranges.push({ name, path, offset, dtype: 'float32', n });
    for (let start = 0; start < n; start += CHUNK_ELEMENTS) {
      signal.throwIfAborted();
      const scores = new Float32Array(Math.min(CHUNK_ELEMENTS, n - start));
      for (let i = 0; i < scores.length; i++) scores[i] = words.nextShare();
      await file.writeFile(scores);
      offset += scores.byteLength;
    }
  }
  return ranges;
};
