import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CriterionContext } from '../../../src/criteria/context.ts';
import { score } from '../../../src/criteria/structures/random.ts';
import { familyOf } from './families.ts';

const draw = (sizes: readonly number[], seed: number) =>
  score(
    sizes.map((size, i) => familyOf(`family${i}`, size)),
    { seed } as CriterionContext,
  );

describe('random scores of structures', () => {
  test('even on (0, 1], the same for the same seed, whatever the families', async () => {
    const [scores] = await draw([20_000], 3);
    assert.ok(scores.every((score) => score > 0 && score <= 1));
    const tenths = Array<number>(10).fill(0);
    for (const score of scores) tenths[Math.min(9, Math.floor(score * 10))]++;
    // Within five standard errors.
    for (const count of tenths) assert.ok(Math.abs(count - 2000) < 5 * Math.sqrt(1800), `${tenths}`);

    const split = await draw([12_000, 8000], 3);
    assert.deepEqual([...split[0], ...split[1]], [...scores]);
    const [other] = await draw([20_000], 4);
    assert.ok(scores.filter((score, i) => score === other[i]).length < 10);
  });
});
