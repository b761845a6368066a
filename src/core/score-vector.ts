import { BYTE_WIDTH, type FloatDtype } from './dtype.ts';
import { EmpError, type ErrorCode } from './errors.ts';
import type { SelectionKernel } from './kernel.ts';

/** Importance scores in memory: little-endian numbers, at any alignment. */
export interface ScoreVector {
  readonly bytes: Uint8Array;
  readonly dtype: FloatDtype;
}

/** Groups of `length` scores back to back, each with an N_eff of its own. */
export interface ScoreGroups extends ScoreVector {
  readonly count: number;
  readonly length: number;
  /** What errors call a group; undefined where it needs no name. */
  readonly name: (group: number) => string | undefined;
}

/** Divides scores into `count` groups. Throws `empty_scores`, and `invalid_request` where they do not divide. */
export function createScoreGroups(
  scores: ScoreVector | Float64Array,
  count: number,
  name: ScoreGroups['name'],
): ScoreGroups {
  const { bytes, dtype } = scores instanceof Float64Array ? float64Scores(scores) : scores;
  const length = bytes.byteLength / BYTE_WIDTH[dtype] / count;
  if (bytes.byteLength === 0)
    throw scoreError('empty_scores', name(0), 'are empty; there must be at least one');
  if (!Number.isInteger(length)) {
    const message = `${bytes.byteLength} bytes are not ${count > 1 ? `${count} rows of ` : ''}whole ${dtype} numbers`;
    throw new EmpError('invalid_request', message, [{ path: '/scores', message }]);
  }
  return { bytes, dtype, count, length, name };
}

export function float64Scores(scores: Float64Array): ScoreVector {
  return { bytes: new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength), dtype: 'float64' };
}

/** The bytes of `count` scores from `start` on. */
export function bytesOf({ bytes, dtype }: ScoreVector, start: number, count: number): Uint8Array {
  const width = BYTE_WIDTH[dtype];
  return bytes.subarray(start * width, (start + count) * width);
}

/** The error for a group of scores: names the group where it has a name, and the offending index where there is one. */
export function scoreError(
  code: ErrorCode,
  group: string | undefined,
  problem: string,
  index?: number,
): EmpError {
  const segments = ['scores', group, index].filter((segment) => segment !== undefined);
  const path = segments.map((segment) => `/${String(segment).replace(/~/g, '~0').replace(/\//g, '~1')}`);
  const what = index === undefined ? 'scores' : `score ${index}`;
  const message = `${what}${group === undefined ? '' : ` of "${group}"`} ${problem}`;
  return new EmpError(code, message, [{ path: path.join(''), message: problem }]);
}

export function nonFiniteScore(group: string | undefined, score: number, index: number): EmpError {
  return scoreError('non_finite_score', group, `is ${score}; scores must be finite numbers`, index);
}

/** The error for the first NaN or Infinity in the kernel's focus, which begins at the group's score `start`. */
export function nonFiniteInFocus(
  kernel: SelectionKernel,
  group: string | undefined,
  start: number,
): EmpError {
  const index = kernel.firstNonFinite();
  return nonFiniteScore(group, kernel.scores[index], start + index);
}
