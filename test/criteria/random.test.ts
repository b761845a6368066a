import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { score as random } from '../../src/criteria/weights/random.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { writeSmallModel } from '../models/small-safetensors.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { criterionContext, testFolder } from './run-criterion.ts';

/** More than the criterion writes at a time. */
const MANY = 300_000;
const zeros = (length: number) => Array<number>(length).fill(0.5);
const smallModel = () =>
  writeSmallModel([
    { name: 'a.weight', dtype: 'float32', shape: [3, MANY / 3], values: zeros(MANY) },
    { name: 'b.weight', dtype: 'float64', shape: [40, 50], values: zeros(2000) },
  ]);

describe('random', () => {
  test('draws evenly from (0, 1], the same for the same seed', async (t) => {
    await using model = await smallModel();
    const draw = async (seed: number) => {
      const folder = await testFolder(t);
      const context = criterionContext(
        await readStoredModel(model.directory, ['model.safetensors']),
        folder,
        null,
      );
      const ranges = await random(context.model.inventory.tensors, { ...context, seed });
      const numbers = [];
      for (const { path, offset, n, dtype } of ranges) {
        assert.equal(dtype, 'float32');
        const bytes = (await readFile(path)).subarray(offset, offset + 4 * n);
        numbers.push(new Float32Array(new Uint8Array(bytes).buffer));
      }
      return numbers;
    };
    const [a, b] = await draw(0);
    assert.deepEqual([a.length, b.length], [MANY, 2000]);
    assert.deepEqual(await draw(0), [a, b]);
    const other = await draw(1);
    assert.ok(a.filter((score, i) => score === other[0][i]).length < 10);
    assert.ok(a.every((score) => score > 0 && score <= 1));
    // Of an even distribution, within five standard errors.
    const tenths = Array<number>(10).fill(0);
    for (const score of a) tenths[Math.min(9, Math.floor(score * 10))]++;
    for (const count of tenths)
      assert.ok(Math.abs(count - MANY / 10) < 5 * Math.sqrt(MANY * 0.09), `${tenths}`);
    const product = a.slice(1).reduce((sum, score, i) => sum + (score - 0.5) * (a[i] - 0.5), 0) / MANY;
    assert.ok(Math.abs(product) < 5 / 12 / Math.sqrt(MANY), `neighbours: ${product}`);
  });

  test('prunes a quarter at beta 1, by the seed of the recipe', async () => {
    await using model = await smallModel();
    const masks = new Map<object, string[]>();
    for (const recipe of [{}, { seed: 0 }, { seed: 4 }]) {
      await using pruned = await pruneFiles(model.path, { criterion: 'random', ...recipe });
      const { total, tensors } = pruned.report;
      assert.ok(Math.abs(total.sparsity - 0.25) < 0.005, `${total.sparsity}`);
      const path = join(pruned.directory, 'masks.safetensors');
      assert.ok((await readFile(path)).byteLength > MANY / 8);
      masks.set(
        recipe,
        tensors.map(({ mask_sha256 }) => mask_sha256),
      );
    }
    const [first, same, other] = [...masks.values()];
    assert.deepEqual(first, same);
    assert.notDeepEqual(first, other);
  });

  test('its seed goes with no other criterion', () => {
    const { error } = recipeSchema.safeParse({ criterion: 'magnitude', seed: 3 });
    assert.deepEqual(error?.issues[0]?.path, ['seed']);
    assert.match(error?.issues[0]?.message ?? '', /^goes with criterion random/);
    assert.equal(recipeSchema.parse({ criterion: 'random' }).seed, 0);
  });
});
