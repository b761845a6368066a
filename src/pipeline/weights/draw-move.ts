import type { RandomWords } from '../../core/random-words.ts';
import type { Limits } from './share-total.ts';

/** Shares of what a tensor could give, or another take, that a move is drawn from. */
const [LEAST_SHARE, MOST_SHARE] = [0.08, 0.25];
/** Of what a tensor keeps the part that it could give. */
const GIVEN = 0.9;

/** Counts with some weights of one tensor given to another, both drawn evenly; null where that comes to none. */
export function drawMove(
  counts: readonly number[],
  limits: readonly Limits[],
  words: RandomWords,
): number[] | null {
  const below = (n: number) => Math.min(n - 1, Math.floor(words.nextShare() * n));
  if (counts.length < 2) return null;
  const from = below(counts.length);
  const to = (from + 1 + below(counts.length - 1)) % counts.length;
  const could = Math.min(
    GIVEN * counts[from],
    counts[from] - limits[from].least,
    limits[to].most - counts[to],
  );
  const share = LEAST_SHARE + (MOST_SHARE - LEAST_SHARE) * words.nextShare();
  const moved = Math.floor(share * could);
  if (moved < 1) return null;
  return counts.map((count, i) => count + (i === to ? moved : 0) - (i === from ? moved : 0));
}
