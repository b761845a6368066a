import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { FloatDtype } from '../../../src/core/dtype.ts';
import { createRandom, gaussian } from '../../core/oracle.ts';
import {
  decode,
  encode,
  readTensors,
  type SmallTensor,
  unpack,
  writeSmallModel,
} from '../../models/small-safetensors.ts';
import { empCount, naiveKeep } from '../oracle.ts';
import { pruneFiles } from '../prune-files.ts';

function weight(name: string, dtype: FloatDtype, shape: number[], draw: (i: number) => number): SmallTensor {
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => draw(i));
  return { name: `${name}.weight`, dtype, shape, values: decode(encode(values, dtype), dtype) };
}

const random = createRandom(31);
const normal = (scale: number) => () => gaussian(random) * scale;

/** The kept share of the mass, computed at the scale of the largest score. */
function massOf(scores: readonly number[], keep: readonly boolean[]): number {
  const largest = scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0) || 1;
  const scaled = scores.map((score) => Math.abs(score) / largest);
  return scaled.reduce((sum, s, i) => sum + (keep[i] ? s : 0), 0) / scaled.reduce((sum, s) => sum + s, 0);
}

async function check(tensors: readonly SmallTensor[], scope: 'global' | 'layer', beta = 1): Promise<void> {
  await using model = await writeSmallModel(tensors);
  await using pruned = await pruneFiles(model.path, { scope, beta });
  const scores = tensors.flatMap(({ values }) => values);
  const keep =
    scope === 'global'
      ? naiveKeep(scores, empCount(beta))
      : tensors.flatMap(({ values }) => naiveKeep(values, empCount(beta)));
  const masks = await readTensors(join(pruned.directory, 'masks.safetensors'));
  const actual = tensors.flatMap(({ name, values }) =>
    unpack(masks.get(name) ?? new Uint8Array(), values.length),
  );
  assert.deepEqual(actual, keep);
  const { total } = pruned.report;
  const mass = massOf(scores, keep);
  assert.ok(Math.abs(total.preserved_mass - mass) <= 1e-9, `${total.preserved_mass}, expected ${mass}`);
  assert.ok(total.preserved_mass_bound > 0 && total.preserved_mass_bound <= mass + 1e-7);
}

describe('scopes global and layer agree with the definition', () => {
  for (const scope of ['global', 'layer'] as const) {
    test(`${scope}: scores at both ends of float64, and other dtypes beside them`, async () => {
      const shape = [30, 31];
      const large = weight('large', 'float64', shape, normal(1e306));
      const usual = weight('usual', 'float32', shape, normal(1));
      const small = weight('small', 'float64', shape, normal(1e-310));
      const smaller = weight('smaller', 'float64', shape, normal(1e-318));
      await check([usual, large, small], scope);
      await check([small, large, usual], scope);
      await check([small, smaller], scope);
      await check([weight('half', 'bfloat16', shape, normal(1)), usual, smaller], scope);
    });

    test(`${scope}: tensors of one element, dimensions of one`, async () => {
      const ones = [
        weight('a', 'float32', [1, 1], () => -0.5),
        weight('b', 'float16', [1, 7], (i) => i - 3),
        weight('c', 'float64', [9, 1], (i) => i % 3),
      ];
      for (const beta of [0.01, 1, 5]) await check(ones, scope, beta);
    });

    test(`${scope}: a threshold of zero, reached by some of the zeros and negative zeros`, async () => {
      const sparse = weight('a', 'float32', [40, 50], (i) => (i % 10 === 0 ? 1 : i % 2 === 0 ? 0 : -0));
      await check([sparse], scope, 3.3);
      await check([sparse, weight('b', 'float64', [20, 20], (i) => (i % 4 === 0 ? -1 : -0))], scope, 2.5);
    });
  }
});

describe('the report does not depend on how the work was cut up', () => {
  const tensors = [
    weight('long', 'float32', [90, 101], normal(1)),
    weight('subnormal', 'float32', [70, 80], normal(2 ** -130)),
    weight('short', 'float32', [30, 40], normal(0.01)),
    weight('wide', 'float64', [70, 90], normal(0.02)),
    weight('tied', 'bfloat16', [80, 90], (i) => ((i % 5) - 2) / 64),
  ];
  for (const recipe of [
    {},
    { min_density: 0.6 },
    { scope: 'layer', min_density: 0.7 },
    { scope: 'layer', budget: { sparsity: 0.4 } },
    { scope: 'row' },
  ]) {
    test(JSON.stringify(recipe), async () => {
      await using model = await writeSmallModel(tensors);
      const artifacts = new Set<string>();
      for (const chunkElements of [4096, 8192, 2 ** 18]) {
        await using pruned = await pruneFiles(model.path, recipe, { chunkElements });
        artifacts.add(JSON.stringify(pruned.artifacts));
        const least = 'min_density' in recipe ? recipe.min_density : 0;
        for (const { n, n_keep } of pruned.report.tensors) assert.ok(n_keep >= Math.ceil(least * n - 1e-6));
      }
      assert.equal(artifacts.size, 1);
    });
  }
});
