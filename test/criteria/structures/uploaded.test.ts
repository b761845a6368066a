import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { FloatDtype } from '../../../src/core/dtype.ts';
import type { CriterionContext } from '../../../src/criteria/context.ts';
import { score as uploadedStructureScores } from '../../../src/criteria/structures/scores.ts';
import type { ScoreArray } from '../../../src/formats/score-file.ts';
import { encode } from '../../models/small-safetensors.ts';
import { testFolder } from '../run-criterion.ts';
import { familyOf } from './families.ts';

const FAMILIES = [familyOf('a', 4), familyOf('b', 3)];

/** Arrays one after the other in one file. */
async function scoresOf(
  t: TestContext,
  arrays: readonly { name: string; dtype?: string; shape?: number[]; values: number[] }[],
): Promise<CriterionContext> {
  const path = join(await testFolder(t), 'scores');
  const pieces = arrays.map(({ dtype = 'float32', values }) =>
    dtype === 'int64' ? new Uint8Array(8 * values.length) : encode(values, dtype as FloatDtype),
  );
  await writeFile(path, Buffer.concat(pieces));
  let offset = 0;
  const scores = new Map<string, ScoreArray>();
  for (const [i, { name, dtype = 'float32', shape, values }] of arrays.entries()) {
    const { byteLength } = pieces[i];
    scores.set(name, {
      name,
      dtype,
      shape: shape ?? [values.length],
      range: { path, offset, byteLength },
    } as never);
    offset += byteLength;
  }
  return { scores } as unknown as CriterionContext;
}

describe('uploaded scores of structures', () => {
  for (const dtype of ['float16', 'bfloat16', 'float32', 'float64']) {
    test(`${dtype}, by absolute value, one array a family`, async (t) => {
      const context = await scoresOf(t, [
        { name: 'b', dtype, values: [3, -0.5, 0] },
        { name: 'other', dtype, values: [9] },
        { name: 'a', dtype, values: [1, -2, 0.25, 4] },
      ]);
      const scores = await uploadedStructureScores(FAMILIES, context);
      assert.deepEqual(
        scores.map((family) => [...family]),
        [
          [1, 2, 0.25, 4],
          [3, 0.5, 0],
        ],
      );
    });
  }

  const a = { name: 'a', values: [1, 2, 3, 4] };
  const expected = 'expected an array b of shape [3], one score a structure';
  const refused: [string, Parameters<typeof scoresOf>[1], string, string][] = [
    ['of another family alone', [a], 'the uploaded scores have no array named b', expected],
    [
      'of another number of structures',
      [a, { name: 'b', values: [1, 2] }],
      'scores of b have shape [2]',
      expected,
    ],
    [
      'of another rank',
      [a, { name: 'b', shape: [3, 1], values: [1, 2, 3] }],
      'scores of b have shape [3, 1]',
      expected,
    ],
    [
      'that are integers',
      [a, { name: 'b', dtype: 'int64', values: [1, 2, 3] }],
      'scores of b are int64',
      'expected floats',
    ],
  ];
  for (const [what, arrays, problem, advice] of refused) {
    test(`${what} are refused`, async (t) => {
      await assert.rejects(uploadedStructureScores(FAMILIES, await scoresOf(t, arrays)), {
        code: 'scores_mismatch',
        message: `${problem}: ${advice}`,
        findings: [{ path: 'scores', message: advice, input: 'scores' }],
      });
    });
  }
});
