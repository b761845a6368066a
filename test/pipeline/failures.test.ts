import assert from 'node:assert/strict';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ModelInventory } from '../../src/formats/model.ts';
import { createRandom } from '../core/oracle.ts';
import { type SmallTensor, writeSmallModel } from '../models/small-safetensors.ts';
import { inventoryOf, pruneFiles } from './prune-files.ts';

function linear(name: string, out: number, into: number, seed: number): SmallTensor {
  const random = createRandom(seed);
  const values = Array.from({ length: out * into }, () => random() - 0.5);
  return { name: `${name}.weight`, dtype: 'float32', shape: [out, into], values };
}

/** With threads, and too small for them. */
const SIZES = [
  [1100, 1000],
  [30, 20],
];

describe('a job that is stopped', () => {
  for (const stage of ['score', 'decide', 'apply', 'report']) {
    for (const [out, into] of SIZES) {
      test(`at ${stage} rejects with the reason, ${out * into} weights`, async () => {
        await using model = await writeSmallModel([linear('a', out, into, 1)]);
        const controller = new AbortController();
        const reason = new Error('enough');
        const onProgress = (_percent: number, at: string) => at === stage && controller.abort(reason);
        await assert.rejects(
          pruneFiles(model.path, {}, { signal: controller.signal, onProgress }),
          (error) => {
            assert.equal(error, reason);
            return true;
          },
        );
      });
    }
  }
});

describe('a model file that is not what it was', () => {
  for (const [out, into] of SIZES) {
    for (const scope of ['global', 'row']) {
      test(`is missed by its name, or by the byte where it ends: scope ${scope}, ${out * into} weights`, async () => {
        await using model = await writeSmallModel([linear('a', out, into, 1), linear('b', out, into, 2)]);
        const inventory = await inventoryOf(model.directory, ['model.safetensors']);
        const { runs } = inventory.tensors[1].data ?? { runs: [] };
        const end = runs[0].offset + 1000;
        await truncate(model.path, end);
        await assert.rejects(pruneFiles(model.path, { scope }, { inventory }), {
          message: new RegExp(`model\\.safetensors ended at byte ${end}`),
        });
        await rm(model.path);
        await assert.rejects(pruneFiles(model.path, { scope }, { inventory }), {
          message: `ENOENT: no such file or directory, open '${model.path}'`,
        });
      });
    }
  }
});

describe('what cannot be pruned together is refused', () => {
  async function refused(change: (inventory: ModelInventory) => ModelInventory, recipe: object) {
    await using model = await writeSmallModel([linear('a', 4, 5, 1), linear('b', 4, 5, 2)]);
    const inventory = change(await inventoryOf(model.directory, ['model.safetensors']));
    return await pruneFiles(join(model.directory, 'model.safetensors'), recipe, { inventory }).then(
      () => assert.fail('it was accepted'),
      (error) => error,
    );
  }

  test('tensors that share bytes', async () => {
    const error = await refused(
      (inventory) => ({
        ...inventory,
        tensors: inventory.tensors.map((tensor) => ({ ...tensor, data: inventory.tensors[0].data })),
      }),
      { include: ['a.*', 'b.*'] },
    );
    assert.equal(error.code, 'invalid_request');
    assert.equal(
      error.message,
      'a.weight and b.weight share bytes of model.safetensors: exclude one of them',
    );
  });

  test('rows longer than a kernel holds', async () => {
    const error = await refused(
      (inventory) => ({
        ...inventory,
        tensors: inventory.tensors.map((tensor) => ({
          ...tensor,
          rows: { outer: 1, reduced: 2 ** 20, units: 1, inner: 129 },
        })),
      }),
      { scope: 'row' },
    );
    assert.equal(error.code, 'invalid_request');
    assert.match(error.findings[0].message, /a\.weight has rows of more than 134217728 weights/);
  });
});
