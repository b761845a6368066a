import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import { refuseUnmetNeeds } from '../../src/recipe/needs.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { SIZE_TARGET_NAMES } from '../../src/recipe/size-targets.ts';
import { sizeTargetOf, targetOf } from '../../src/recipe/target.ts';

const CHANNELS = { granularity: 'channel', criterion: 'l2_norm' };

function refusalOf(recipe: object): string[] {
  const { success, error } = recipeSchema.safeParse(recipe);
  return success ? [] : error.issues.map(({ path, message }) => `${path.join('/')}: ${message}`);
}

describe('a target of size', () => {
  test('stands alone, or beside one of quality', () => {
    for (const name of SIZE_TARGET_NAMES) {
      const alone = recipeSchema.parse({ ...CHANNELS, target: { [name]: 1000 } });
      assert.deepEqual([targetOf(alone), sizeTargetOf(alone)], [null, { name, limit: 1000 }]);
      const target = { [name]: 1000, max_kl: 0.01, confidence: 0.95 };
      const both = recipeSchema.parse({ ...CHANNELS, target });
      assert.deepEqual([targetOf(both)?.name, sizeTargetOf(both)?.name], ['max_kl', name]);
    }
  });

  test('is one, a whole number, and promised by nothing', () => {
    for (const target of [
      {},
      { confidence: 0.95 },
      { max_macs: 5, max_bytes: 5 },
      { max_kl: 1, max_loss_increase: 1 },
    ])
      assert.match(
        refusalOf({ ...CHANNELS, target })[0] ?? '',
        /^target: give one of max_loss_increase.* or one of each$/,
      );
    assert.match(
      refusalOf({ ...CHANNELS, target: { max_macs: 5, confidence: 0.95 } })[0] ?? '',
      /^target: confidence goes with one of .*: a size is counted, not estimated$/,
    );
    for (const limit of [0, -1, 1.5])
      assert.notDeepEqual(refusalOf({ ...CHANNELS, target: { max_bytes: limit } }), []);
    assert.deepEqual(refusalOf({ target: { max_parameters: 5 }, beta: 1 }), [
      'beta: is what is searched for max_parameters: give none with it',
    ]);
    assert.match(
      refusalOf({ target: { max_parameters: 5 }, seed: 1 })[0] ?? '',
      /^seed: goes with criterion random/,
    );
  });

  test('that zeros in place cannot meet is refused with what can', () => {
    assert.deepEqual(refusalOf({ target: { max_bytes: 1000 } }), [
      'target: max_bytes bounds the files, and zeros in place keep their bytes: use max_compressed_bytes or granularity channel',
    ]);
    assert.deepEqual(refusalOf({ target: { max_macs: 1000, max_kl: 1 } }), [
      'target: max_macs bounds what is multiplied, and zeros in place are multiplied too: use max_parameters or granularity channel',
    ]);
    assert.deepEqual(refusalOf({ target: { max_compressed_bytes: 1000 } }), []);
  });

  test('needs no data, and a graph where it counts what that multiplies', () => {
    const given = { scores: null, calibration: null, evaluation: null };
    const [onnx, safetensors] = (['onnx', 'safetensors'] as const).map((format) => ({
      ...given,
      inventory: { format },
    }));
    const recipeOf = (target: object, own: object = {}) => recipeSchema.parse({ ...own, target });
    refuseUnmetNeeds(recipeOf({ max_parameters: 5 }), safetensors);
    refuseUnmetNeeds(recipeOf({ max_macs: 5 }, CHANNELS), onnx);
    assert.throws(() => refuseUnmetNeeds(recipeOf({ max_macs: 5, max_kl: 1 }, CHANNELS), onnx), EmpError);
    const nodes = { granularity: 'kan_node', criterion: 'kan_node' };
    refuseUnmetNeeds(recipeOf({ max_bytes: 5 }, nodes), safetensors);
    assert.throws(() => refuseUnmetNeeds(recipeOf({ max_macs: 5 }, nodes), safetensors), {
      code: 'invalid_request',
      message: 'a safetensors file holds no graph to run: send the ONNX export',
    });
  });
});
