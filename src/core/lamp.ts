import { scaleExponent } from './statistics.ts';

/**
 * LAMP scores of one tensor (Lee et al., 2021, arXiv 2010.07611): `s_i^2 / sum of s_j^2 over |s_j| >= |s_i|`, in [0, 1] and the same at any scale of the tensor. Equal scores
 * have equal ones, so that they tie; all are 0 where every score is.
 * @param scores finite; it is given back with the LAMP scores in ascending order, which is that of the scores by absolute value
 */
export function lampScores(scores: Float64Array): Float64Array {
  for (const [i, score] of scores.entries()) scores[i] = Math.abs(score);
  scores.sort();
  const scale = 2 ** scaleExponent(scores.at(-1) ?? 0);
  let sum = 0;
  for (let end = scores.length; end > 0; ) {
    const score = scores[end - 1];
    const square = (score * scale) ** 2;
    let first = end;
    while (first > 0 && scores[first - 1] === score) first--;
    sum += square * (end - first);
    scores.fill(square === 0 ? 0 : square / sum, first, end);
    end = first;
  }
  return scores;
}
