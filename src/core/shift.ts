import { Turns } from './event-loop.ts';
import { widen } from './float-format.ts';
import { bytesOf, float64Scores, nonFiniteScore, type ScoreGroups, scoreError } from './score-vector.ts';

const PART = 1 << 18;

/**
 * `s - min s` within each group, in float64: for criteria whose sign means keep or remove. Throws `non_finite_score`, and
 * `invalid_request` where the range of a group exceeds float64.
 */
export async function shiftToZero(scores: ScoreGroups): Promise<ScoreGroups> {
  const { count, length, name } = scores;
  const shifted = new Float64Array(count * length);
  const turns = new Turns();
  for (let group = 0; group < count; group++) {
    const first = group * length;
    const inGroup = shifted.subarray(first, first + length);
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let start = 0; start < length; start += PART) {
      const part = inGroup.subarray(start, start + PART);
      widen(bytesOf(scores, first + start, part.length), scores.dtype, part);
      for (let i = 0; i < part.length; i++) {
        if (!Number.isFinite(part[i])) throw nonFiniteScore(name(group), part[i], start + i);
        if (part[i] < min) min = part[i];
        if (part[i] > max) max = part[i];
      }
      if (turns.due(part.length)) await turns.next();
    }
    if (!Number.isFinite(max - min)) {
      throw scoreError(
        'invalid_request',
        name(group),
        'reach too far apart to be shifted: their range must fit a float64',
      );
    }
    for (let start = 0; start < length; start += PART) {
      const part = inGroup.subarray(start, start + PART);
      for (let i = 0; i < part.length; i++) part[i] -= min;
      if (turns.due(part.length)) await turns.next();
    }
  }
  return { ...scores, ...float64Scores(shifted) };
}
