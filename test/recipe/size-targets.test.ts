import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import { refuseUnmetNeeds } from '../../src/recipe/needs.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { SIZE_TARGET_NAMES } from '../../src/recipe/size-targets.ts';
import { SPEED_TARGET_NAMES } from '../../src/recipe/speed-targets.ts';
import { sizeTargetOf, speedTargetOf, targetOf } from '../../src/recipe/target.ts';

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
    const given = { scores: null, calibration: null, selection: null, evaluation: null };
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

describe('a target of speed', () => {
  test('stands alone, or beside one of quality, with or without a batch', () => {
    for (const name of SPEED_TARGET_NAMES) {
      const alone = recipeSchema.parse({ ...CHANNELS, target: { [name]: 1.5, batch_size: 1 } });
      assert.deepEqual([targetOf(alone), speedTargetOf(alone)], [null, { name, limit: 1.5 }]);
      const both = recipeSchema.parse({
        ...CHANNELS,
        target: { [name]: 1.5, max_kl: 0.01, confidence: 0.95 },
      });
      assert.deepEqual([targetOf(both)?.name, speedTargetOf(both)?.name], ['max_kl', name]);
      assert.match(
        refusalOf({ ...CHANNELS, target: { [name]: 1.5, max_macs: 5 } })[0] ?? '',
        /^target: give one of .*, or one of .*max_macs, min_speedup, max_latency_ms, or one of each$/,
      );
    }
    for (const target of [{ min_speedup: 1 }, { max_latency_ms: 0 }, { max_latency_ms: 5, batch_size: 0 }])
      assert.equal(refusalOf({ ...CHANNELS, target }).length, 1, JSON.stringify(target));
  });

  test('is refused where it means nothing, with what does', () => {
    assert.deepEqual(refusalOf({ target: { min_speedup: 2 } }), [
      'target: min_speedup bounds the time of a run, and zeros in place save none: use granularity channel or head',
    ]);
    assert.deepEqual(refusalOf({ ...CHANNELS, target: { max_kl: 1, batch_size: 2 } }), [
      'target: batch_size goes with one of min_speedup, max_latency_ms: nothing else is timed',
    ]);
    assert.match(
      refusalOf({ ...CHANNELS, target: { min_speedup: 2, confidence: 0.95 } })[0] ?? '',
      /^target: confidence goes with .*: a speed is met by the whole of its 95 % interval$/,
    );
    assert.deepEqual(refusalOf({ ...CHANNELS, beta: 1, target: { max_latency_ms: 5 } }), [
      'beta: is what is searched for max_latency_ms: give none with it',
    ]);
  });

  test('needs evaluation data, without labels where there is no target that needs them', () => {
    const given = { scores: null, calibration: null, inventory: { format: 'onnx' as const } };
    const recipe = recipeSchema.parse({ ...CHANNELS, target: { min_speedup: 2 } });
    refuseUnmetNeeds(recipe, { ...given, selection: null, evaluation: { labels: null } });
    assert.throws(() => refuseUnmetNeeds(recipe, { ...given, selection: null, evaluation: null }), {
      code: 'invalid_request',
      message: 'target needs evaluation data: evaluation is missing',
    });
  });
});
