import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EmpError } from '../../../src/core/errors.ts';
import { bytesSource } from '../../../src/formats/byte-source.ts';
import type { ModelInventory } from '../../../src/formats/model.ts';
import { readModelInventory } from '../../../src/graph/inventory.ts';
import { selectTensors } from '../../../src/pipeline/weights/select.ts';
import type { Recipe } from '../../../src/recipe/recipe.ts';
import { createSafetensors } from '../../models/safetensors-bytes.ts';

const checkpoint = (shapes: Record<string, number[]>) =>
  readModelInventory(new Map([['a.safetensors', bytesSource(createSafetensors(shapes))]]));

function refusal(inventory: ModelInventory, recipe: Pick<Recipe, 'include' | 'exclude'> = {}): EmpError {
  try {
    selectTensors(inventory, { scope: 'layer', ...recipe });
  } catch (error) {
    assert.ok(error instanceof EmpError && error.code === 'no_prunable_tensors', String(error));
    return error;
  }
  throw new Error('something is selected');
}

describe('a model of which no weight is selected', () => {
  for (const [what, shapes] of [
    ['names of other frameworks', { 'dense.kernel': [4, 3], 'dense_1.kernel': [3, 2], 'dense.bias': [3] }],
    ['LoRA', { 'q_proj.lora_A': [4, 2], 'q_proj.lora_B': [2, 4], 'v_proj.lora_A': [4, 2] }],
    ['embeddings', { 'word_embeddings.weight': [10, 4], 'norm.weight': [4] }],
    ['names without parts', { up: [4, 3], down: [3, 4] }],
    ['names with stars', { 'a.w*': [4, 3] }],
  ] as const) {
    test(`${what}: the rule, names, and an include that takes them`, async () => {
      const inventory = await checkpoint(shapes as unknown as Record<string, number[]>);
      const { message, findings } = refusal(inventory);
      assert.match(message, /two dimensions or more and a name that ends in \.weight/);
      const wide = Object.entries(shapes).filter(([, shape]) => shape.length > 1);
      for (const [name] of wide) assert.ok(message.includes(name), message);
      const include = JSON.parse(/"include": (\[.*\])/.exec(message)?.[1] ?? 'null');
      assert.deepEqual(
        selectTensors(inventory, { scope: 'layer', include })
          .map(({ name }) => name)
          .sort(),
        wide.map(([name]) => name).sort(),
      );
      assert.equal(findings[0].path, '/recipe/include');
    });
  }

  test('three names at most are shown', async () => {
    const shapes = Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`layer${i}.kernel`, [2, 2]]));
    const { message } = refusal(await checkpoint(shapes));
    assert.match(
      message,
      /5 float tensors.*layer1\.kernel, layer2\.kernel, layer3\.kernel, \.\.\.; .*\["\*\.kernel"\]/,
    );
  });

  test('exclude leaves none: of how many', async () => {
    const inventory = await checkpoint({ 'a.weight': [2, 2], 'b.weight': [2, 2] });
    const { message, findings } = refusal(inventory, { exclude: ['*'] });
    assert.match(message, /exclude leaves none of the 2 prunable tensors/);
    assert.equal(findings[0].path, '/recipe/exclude');
    const both = refusal(inventory, { include: ['a.*'], exclude: ['a.weight'] });
    assert.match(both.message, /none of the tensors that include names/);
  });

  test('vectors alone, and integers alone', async () => {
    assert.match(
      refusal(await checkpoint({ 'norm.weight': [4] })).message,
      /1 float tensors has two dimensions: norm\.weight/,
    );
    const integers = createSafetensors({ 'a.weight': [2, 2] });
    const renamed = Buffer.from(integers.toString('latin1').replace('"F32"', '"I32"'), 'latin1');
    const inventory = await readModelInventory(new Map([['a.safetensors', bytesSource(renamed)]]));
    assert.match(refusal(inventory).message, /its 1 tensors are int32, and only floats/);
  });
});
