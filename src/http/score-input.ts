import { BYTE_WIDTH, type FloatDtype, isFloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { float64Scores, type ScoreVector, scoreError } from '../core/score-vector.ts';
import { parseNpyHeader } from '../formats/npy.ts';
import { refuseFileAsOctets } from './files-as-octets.ts';
import { type JsonBounds, parseBoundedJson } from './json-bounds.ts';
import { pointerToken } from './problem.ts';
import { type ThresholdOptions, thresholdOptionsSchema } from './schemas.ts';
import { parseBody } from './validation.ts';

/** Each group is decided on its own; more of them make an answer of tens of megabytes. */
export const MAX_GROUPS = 100_000;

const MAX_INCLUDE = 10;

/** The request, its groups, a group: a level more is told apart from a number by what reads it. */
const BOUNDS: JsonBounds = {
  depth: 4,
  keys: MAX_GROUPS + 10,
  // Of tensors' names; V8 hashes strings from 16 kB on by their length alone.
  keyBytes: 4096,
  stringBytes: 4096,
  // Bounded by the bytes of the body: each takes two.
  numbers: Number.POSITIVE_INFINITY,
  others: MAX_GROUPS + 1000,
};

export interface ScoreGroup {
  readonly name: string;
  readonly scores: ScoreVector;
}

/** The scores of one request: one vector, or several decided apart. */
export type ScoreInput =
  | { readonly kind: 'vector'; readonly scores: ScoreVector }
  | { readonly kind: 'groups'; readonly groups: readonly ScoreGroup[] }
  | { readonly kind: 'rows'; readonly scores: ScoreVector; readonly rows: number; readonly columns: number };

/**
 * Scores and options of a JSON body. Numbers are checked in one loop, not by the schema: a million of them take milliseconds.
 * @throws EmpError `malformed_body`, `invalid_request`, `empty_scores`, `non_finite_score`, each with the first offending place
 */
export function parseJsonScores(body: Uint8Array): { input: ScoreInput; options: ThresholdOptions } {
  const value = parseBoundedJson(body, BOUNDS, 'the body');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused('/', 'must be an object such as {"scores": [0.5, 0.25]}');
  }
  const { scores, ...rest } = value as Record<string, unknown>;
  // The schema would tell of each entry.
  if (Array.isArray(rest.include) && rest.include.length > MAX_INCLUDE)
    throw refused('/include', `has ${rest.include.length} entries; it may have ${MAX_INCLUDE}`);
  const options = parseBody(thresholdOptionsSchema, rest);
  if (Array.isArray(scores)) {
    return { input: { kind: 'vector', scores: toVector(scores, undefined) }, options };
  }
  if (typeof scores !== 'object' || scores === null) {
    throw refused(
      '/scores',
      scores === undefined ? 'is missing' : 'must be an array of numbers, or an object of such arrays',
    );
  }
  const entries = Object.entries(scores);
  if (entries.length === 0)
    throw new EmpError('empty_scores', 'scores has no groups', [{ path: '/scores', message: 'is empty' }]);
  refuseManyGroups(entries.length);
  const groups = entries.map(([name, array]) => {
    if (!Array.isArray(array)) throw refused(`/scores${pointerToken(name)}`, 'must be an array of numbers');
    return { name, scores: toVector(array, name) };
  });
  return { input: { kind: 'groups', groups }, options };
}

/** The scores of an octet-stream body. @throws EmpError `unsupported_media_type` for a file of another type, `invalid_request` where they are cut within a number */
export function rawScores(body: Uint8Array, dtype: FloatDtype): ScoreInput {
  refuseFileAsOctets(body);
  if (body.byteLength % BYTE_WIDTH[dtype] !== 0) {
    throw refused(
      '?dtype',
      `the body's ${body.byteLength} bytes are not a whole number of ${dtype} scores of ${BYTE_WIDTH[dtype]} bytes`,
    );
  }
  return { kind: 'vector', scores: { bytes: body, dtype } };
}

/** The scores of a `.npy` file: a vector, or a matrix with one group per row. @throws EmpError `malformed_npy`, `unsupported_dtype`, `invalid_request` */
export function parseNpyScores(body: Uint8Array, byRow: boolean): ScoreInput {
  const { dtype, shape, dataOffset } = parseNpyHeader(body);
  if (!isFloatDtype(dtype)) {
    throw new EmpError(
      'unsupported_dtype',
      `the array holds ${dtype.slice(0, 40)}: save arr.astype('<f4'), or another float type`,
    );
  }
  const scores: ScoreVector = { bytes: body.subarray(dataOffset), dtype };
  const [rows, columns] = shape;
  if (!byRow) {
    if (shape.length === 1) return { kind: 'vector', scores };
    throw refused(
      '?scope',
      shape.length === 2
        ? 'must be row for an array of 2 axes, each row a group of its own; ravel() makes one vector of it'
        : `takes no array of ${shape.length} axes: ravel() it to decide it as one vector`,
    );
  }
  if (shape.length !== 2)
    throw refused('?scope', `is row, which takes an array of 2 axes, and this one has ${shape.length}`);
  if (rows === 0 || columns === 0) throw scoreError('empty_scores', undefined, `are of shape (${shape})`);
  refuseManyGroups(rows);
  return { kind: 'rows', scores, rows, columns };
}

function toVector(array: readonly unknown[], group: string | undefined): ScoreVector {
  const scores = new Float64Array(array.length);
  for (let i = 0; i < array.length; i++) {
    const score = array[i];
    // Infinity is what JSON.parse makes of 1e400.
    if (typeof score !== 'number' || score - score !== 0) throw notANumber(score, group, i);
    scores[i] = score;
  }
  return float64Scores(scores);
}

function notANumber(score: unknown, group: string | undefined, index: number): EmpError {
  const shown =
    typeof score === 'number'
      ? 'beyond the range of a double'
      : score !== null && typeof score === 'object'
        ? `an ${Array.isArray(score) ? 'array' : 'object'}`
        : JSON.stringify(score)?.slice(0, 40);
  return scoreError('non_finite_score', group, `is ${shown}, must be a finite number`, index);
}

function refuseManyGroups(count: number): void {
  if (count > MAX_GROUPS) throw refused('/scores', `has ${count} groups; one request may have ${MAX_GROUPS}`);
}

function refused(path: string, message: string): EmpError {
  return new EmpError('invalid_request', `${path} ${message}`, [{ path, message }]);
}
