import { BYTE_WIDTH, type FloatDtype, isFloatDtype } from '../../core/dtype.ts';
import { EmpError, ofInput } from '../../core/errors.ts';
import { widen } from '../../core/float-format.ts';
import { openFileSource } from '../../formats/file-source.ts';
import type { ScoreArray } from '../../formats/score-file.ts';
import type { CriterionContext, StructureScorer } from '../context.ts';

/** The client's own scores, by absolute value. Throws as `uploadedFamilyScores`. */
export const score: StructureScorer<'scores'> = async (families, { scores }) => {
  const found: Float64Array[] = [];
  for (const { name, structures } of families) {
    const { dtype, range } = uploadedFamilyScores({ name, n: structures.length }, scores);
    await using source = await openFileSource(range.path);
    const values = new Float64Array(structures.length);
    widen(await source.read(range.offset, range.offset + values.length * BYTE_WIDTH[dtype]), dtype, values);
    found.push(values.map(Math.abs));
  }
  return found;
};

/** The uploaded array of a family: named like it, with a number for each of its `n` structures. Throws `scores_mismatch`. */
export function uploadedFamilyScores(
  { name, n }: { readonly name: string; readonly n: number },
  scores: CriterionContext['scores'],
): ScoreArray & { readonly dtype: FloatDtype } {
  const array = scores?.get(name);
  const expected = `expected an array ${name} of shape [${n}], one score a structure`;
  if (!array) throw mismatch(`the uploaded scores have no array named ${name}`, expected);
  const { dtype, shape } = array;
  if (!isFloatDtype(dtype)) throw mismatch(`scores of ${name} are ${dtype}`, 'expected floats');
  if (shape.length !== 1 || shape[0] !== n)
    throw mismatch(`scores of ${name} have shape [${shape.join(', ')}]`, expected);
  return { ...array, dtype };
}

function mismatch(message: string, expected: string): EmpError {
  return new EmpError('scores_mismatch', `${message}: ${expected}`, [ofInput('scores', expected)]);
}
