import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FLOAT_DTYPES, type FloatDtype } from '../../../src/core/dtype.ts';
import type { RowLayout } from '../../../src/formats/model.ts';
import { createRandom, gaussian } from '../../core/oracle.ts';
import { decode, encode, readTensors, unpack, writeSmallModel } from '../../models/small-safetensors.ts';
import { empCount, naiveKeep, naiveRows } from '../oracle.ts';
import { inventoryOf, pruneFiles } from '../prune-files.ts';

function elementCount({ outer, reduced, units, inner }: RowLayout): number {
  return outer * reduced * units * inner;
}

/** Prunes one tensor by rows of the given layout, and compares masks, counts and mass with the definition. */
async function check(layout: RowLayout, dtype: FloatDtype, values: number[], beta = 1) {
  const n = elementCount(layout);
  await using model = await writeSmallModel([{ name: 'a.weight', dtype, shape: [1, n], values }]);
  const inventory = await inventoryOf(model.directory, ['model.safetensors']);
  const tensors = inventory.tensors.map((tensor) => ({ ...tensor, rows: layout }));
  await using pruned = await pruneFiles(
    model.path,
    { scope: 'row', beta },
    { inventory: { ...inventory, tensors } },
  );
  const scores = decode(encode(values, dtype), dtype);
  const keep = new Array<boolean>(n);
  for (const row of naiveRows(layout)) {
    const rowKeep = naiveKeep(
      row.map((i) => scores[i]),
      empCount(beta),
    );
    for (const [i, flat] of row.entries()) keep[flat] = rowKeep[i];
  }
  const masks = await readTensors(join(pruned.directory, 'masks.safetensors'));
  const actual = unpack(masks.get('a.weight') ?? new Uint8Array(), n);
  const wrong = actual.findIndex((kept, i) => kept !== keep[i]);
  assert.equal(wrong, -1, `element ${wrong} of ${JSON.stringify(layout)}`);
  const { total } = pruned.report;
  assert.equal(total.n_keep, keep.filter(Boolean).length);
  const largest = scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0) || 1;
  const sum = (list: number[]) => list.reduce((a, score) => a + Math.abs(score) / largest, 0);
  const mass = sum(scores) === 0 ? 1 : sum(scores.filter((_, i) => keep[i])) / sum(scores);
  assert.ok(Math.abs(total.preserved_mass - mass) <= 1e-9, `${total.preserved_mass}, expected ${mass}`);
  assert.ok(total.preserved_mass_bound <= mass + 1e-9, `${total.preserved_mass_bound} bounds ${mass}`);
  return total;
}

/** Gaussian scores with ties, zeros and negative zeros among them. */
function draw(n: number, seed: number, scale = 1): number[] {
  const random = createRandom(seed);
  return Array.from({ length: n }, () => {
    const score = gaussian(random);
    return (random() < 0.4 ? Math.round(score * 2) / 2 : score) * scale;
  });
}

describe('scope row agrees with the definition', () => {
  test('for any layout, dtype and beta', async () => {
    const size = fc.integer({ min: 1, max: 9 });
    const layouts = fc.record({ outer: size, reduced: size, units: size, inner: size });
    await fc.assert(
      fc.asyncProperty(
        layouts,
        fc.constantFrom(...FLOAT_DTYPES),
        fc.integer(),
        fc.constantFrom(0.2, 1, 3),
        async (layout, dtype, seed, beta) => {
          await check(layout, dtype, draw(elementCount(layout), seed), beta);
        },
      ),
      { numRuns: 60 },
    );
  });

  for (const [what, layout, dtype] of [
    [
      'columns, more than are gathered at a time',
      { outer: 1, reduced: 2500, units: 901, inner: 1 },
      'float32',
    ],
    ['columns of several matrices', { outer: 2, reduced: 1700, units: 1301, inner: 1 }, 'bfloat16'],
    ['many small slabs', { outer: 30_000, reduced: 3, units: 4, inner: 3 }, 'float16'],
    ['filters of a transposed convolution', { outer: 2, reduced: 300, units: 301, inner: 9 }, 'float64'],
    ['one row of more than a turn', { outer: 1, reduced: 1, units: 1, inner: 1_100_000 }, 'float32'],
    ['rows of one, more than a chunk', { outer: 1, reduced: 1, units: 300_007, inner: 1 }, 'float32'],
  ] as const) {
    test(what, async () => {
      await check(layout, dtype, draw(elementCount(layout), 7));
    });
  }

  test('with scores at both ends of float64', async () => {
    const layout = { outer: 1, reduced: 1, units: 3, inner: 40 };
    for (const scales of [
      [1e307, 1e307, 1e307],
      [1e-310, 1e-310, 1e-310],
      [1e307, 1, 1e-310],
      [1e-320, 0, 1e-320],
    ]) {
      const values = scales.flatMap((scale, unit) => draw(40, unit + 1, scale));
      const total = await check(layout, 'float64', values);
      assert.ok(total.preserved_mass_bound > 0.5);
    }
  });
});
