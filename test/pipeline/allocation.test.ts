import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { countKept, unpackMask } from '../../src/core/keep-mask.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { readNumbers } from '../../src/repair/tensor-edits.ts';
import { reportSchema } from '../../src/report/report.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { node, value } from '../models/build-model.ts';
import { weights, writeModel } from '../models/runtime-model.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { gaussians } from '../models/small-model.ts';
import { readTensors } from '../models/small-safetensors.ts';
import { type Pruned, pruneFiles } from './prune-files.ts';

const LAYERS = [20, 48, 32, 5] as const;
const NAMES = LAYERS.slice(1).map((_, i) => `fc${i}.weight`);
const AUTO = { allocation: 'auto' };

const allocationOf = ({ report }: Pruned) => report.allocation ?? assert.fail('no allocation');
const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Each tensor's own best `least`, and of all others the best of all, by a sort. */
function countsBySorting(scores: readonly Float64Array[], keep: number, least: readonly number[]): number[] {
  const others = scores.flatMap((tensor, source) =>
    [...tensor]
      .sort((a, b) => b - a)
      .slice(least[source])
      .map((score) => ({ score, source })),
  );
  const counts = [...least];
  for (const { source } of others.sort((a, b) => b.score - a.score).slice(0, keep - sum(least)))
    counts[source]++;
  return counts;
}

/** By the formula, one sum for every weight. */
function lampOf(magnitudes: Float64Array): Float64Array {
  const squares = magnitudes.map((magnitude) => magnitude ** 2);
  return squares.map(
    (square) => square / squares.reduce((total, other) => total + (other >= square ? other : 0), 0),
  );
}

describe('a total shared among the tensors', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  let magnitudes: Float64Array[];
  before(async () => {
    mlp = await writeMlp(LAYERS, 64);
    const dense = await readStoredModel(mlp.directory, ['mlp.onnx']);
    magnitudes = await Promise.all(NAMES.map(async (name) => (await readNumbers(dense, name)).map(Math.abs)));
  });
  after(() => mlp[Symbol.asyncDispose]());

  const unlabelled = () => ({ ...mlp.samples, labels: null });
  const pruneMlp = (recipe: object, options: Parameters<typeof pruneFiles>[2] = {}) =>
    pruneFiles(mlp.path, recipe, { calibration: unlabelled(), evaluation: unlabelled(), ...options });

  for (const recipe of [
    { beta: 0.5 },
    { beta: 0.5, scope: 'layer' },
    { budget: { sparsity: 0.99 } },
    { beta: 0.3, min_density: 0.15 },
  ]) {
    test(`every rule keeps the recipe's own total, exactly: ${JSON.stringify(recipe)}`, async () => {
      await using own = await pruneMlp(recipe, { calibration: null });
      await using shared = await pruneMlp({ ...recipe, ...AUTO });
      const { report } = shared;
      assert.ok(reportSchema.safeParse(report).success);
      const { n_keep: total } = own.report.total;
      assert.equal(report.total.n_keep, total);
      const { min_density = 0 } = recipe as { min_density?: number };
      const least = magnitudes.map(({ length }) => Math.max(1, Math.ceil(min_density * length)));
      const { rule, by, candidates } = allocationOf(shared);
      const counts = Object.fromEntries(candidates.map(({ rule, n_keep }) => [rule, n_keep]));
      assert.deepEqual(counts.global, countsBySorting(magnitudes, total, least));
      assert.deepEqual(counts.lamp, countsBySorting(magnitudes.map(lampOf), total, least));
      assert.equal(sum(counts.layer ?? []), total);
      if (recipe.beta === 0.5) {
        const scope = 'scope' in recipe ? recipe.scope : 'global';
        const ofScope = candidates.find((candidate) => candidate.rule === scope);
        assert.deepEqual(
          ofScope?.n_keep,
          own.report.tensors.map(({ n_keep }) => n_keep),
        );
        assert.equal(ofScope?.relative_l2, own.report.evaluation?.pruned.relative_l2);
      }

      assert.equal(by, 'relative_l2', 'nothing says that the outputs are classes');
      const chosen = candidates.find((candidate) => candidate.rule === rule) ?? assert.fail();
      for (const { relative_l2 } of candidates)
        assert.ok(Number(chosen.relative_l2) <= Number(relative_l2), rule);
      assert.equal(report.evaluation?.pruned.relative_l2, chosen.relative_l2);
      assert.deepEqual(
        report.tensors.map(({ n_keep }) => n_keep),
        chosen.n_keep,
      );
      const masks = await readTensors(join(shared.directory, 'masks.safetensors'));
      const model = await readStoredModel(shared.directory, ['mlp.onnx']);
      for (const [i, name] of NAMES.entries()) {
        assert.equal(countKept(masks.get(name) ?? assert.fail()), chosen.n_keep[i]);
        const kept = (await readNumbers(model, name)).map(Math.abs).filter((magnitude) => magnitude > 0);
        const highest = magnitudes[i].toSorted().subarray(-chosen.n_keep[i]);
        assert.deepEqual(kept.toSorted(), highest);
      }
      assert.match(report.verdict.text, new RegExp(`; shared among the tensors by ${rule}, of 3 rules`));
    });
  }

  test('a total below one weight a tensor is one each', async () => {
    await using shared = await pruneMlp({ beta: 1e-4, ...AUTO }, { evaluation: null });
    assert.deepEqual(
      shared.report.tensors.map(({ n_keep }) => n_keep),
      [1, 1, 1],
    );
  });

  test('a sweep shares every candidate anew; of classes the divergence decides', async () => {
    const options = { evaluation: mlp.samples };
    await using swept = await pruneMlp({ beta: 0.6, sweep_betas: [0.3], ...AUTO }, options);
    await using alone = await pruneMlp({ beta: 0.3, ...AUTO }, options);
    assert.equal(swept.report.evaluation?.sweep[0].loss, alone.report.evaluation?.pruned.loss);
    const { rule, by, candidates } = allocationOf(alone);
    const divergences = candidates.map(({ kl }) => Number(kl));
    assert.equal(by, 'kl');
    assert.equal(rule, candidates[divergences.indexOf(Math.min(...divergences))].rule);
  });

  test('rules are compared once repaired', async () => {
    await using plain = await pruneMlp({ beta: 0.3, ...AUTO }, { evaluation: null });
    const repair = ['least_squares'];
    await using repaired = await pruneMlp({ beta: 0.3, repair, ...AUTO }, { evaluation: null });
    const before = allocationOf(plain).candidates.map(({ relative_l2 }) => Number(relative_l2));
    for (const [i, { relative_l2 }] of allocationOf(repaired).candidates.entries())
      assert.ok(Number(relative_l2) < before[i], `${relative_l2} from ${before[i]}`);
  });

  test('moves keep the total, each that brings the model nearer, by a seed', async () => {
    const recipe = { beta: 0.5, min_density: 0.1, allocation_moves: 5, ...AUTO };
    const found = new Map<string, number>();
    for (const seed of [1, 2]) {
      await using moved = await pruneMlp({ ...recipe, seed }, { evaluation: null });
      const { rule, candidates, moves } = allocationOf(moved);
      const start = candidates.find((candidate) => candidate.rule === rule) ?? assert.fail();
      const { n_tried, n_kept, n_keep, relative_l2 } = moves ?? assert.fail();
      assert.deepEqual([n_tried, sum(n_keep)], [5, sum(start.n_keep)]);
      assert.equal(n_kept > 0, Number(relative_l2) < Number(start.relative_l2));
      assert.ok(n_keep.every((count, i) => count >= Math.ceil(0.1 * magnitudes[i].length)));
      const { report } = moved;
      assert.deepEqual(
        report.tensors.map((tensor) => tensor.n_keep),
        n_keep,
      );
      const page = await readFile(join(moved.directory, 'report.html'), 'utf8');
      assert.match(
        page,
        new RegExp(`How the total was shared.*Of 5 times .* ${n_kept} brought it down`, 's'),
      );
      found.set(JSON.stringify(n_keep), n_kept);
    }
    assert.equal(found.size, 2);
    assert.ok([...found.values()].some((n_kept) => n_kept > 0));
  });

  test('a dry run, and a target of size', async () => {
    await using dry = await pruneMlp({ beta: 0.5, dry_run: true, ...AUTO }, { evaluation: null });
    await using written = await pruneMlp({ beta: 0.5, ...AUTO }, { evaluation: null });
    assert.deepEqual(allocationOf(dry), allocationOf(written));
    await using sized = await pruneMlp({ target: { max_parameters: 900 }, ...AUTO }, { evaluation: null });
    assert.equal(sized.report.size_target?.met, true);
    assert.equal(sized.report.size_target?.reached, sized.report.total.n_keep);
  });

  test('a tensor of zeros keeps what the scope leaves it', async (t) => {
    const directory = await testFolder(t);
    const path = await writeModel(directory, 'mlp', {
      inputs: [value('input', ['batch', 20])],
      outputs: [value('y', ['batch', 5])],
      nodes: [
        node('MatMul', ['input', 'zeros'], ['nothing']),
        node('MatMul', ['input', 'a'], ['half']),
        node('Add', ['nothing', 'half'], ['hidden']),
        node('MatMul', ['hidden', 'b'], ['y']),
      ],
      initializers: [
        weights('zeros', [20, 5], Array(100).fill(0)),
        weights('a', [20, 5], [...gaussians(100, 1)]),
        weights('b', [5, 5], [...gaussians(25, 2)]),
      ],
    });
    for (const [scope, kept] of [
      ['layer', 100],
      ['global', 0],
    ]) {
      await using shared = await pruneFiles(path, { scope, ...AUTO }, { calibration: unlabelled() });
      await using own = await pruneFiles(path, { scope });
      assert.equal(shared.report.total.n_keep, own.report.total.n_keep);
      for (const { n_keep } of allocationOf(shared).candidates) assert.equal(n_keep[0], kept);
    }
  });

  test('equal weights are kept by their place, in tensors of several chunks too', async (t) => {
    const directory = await testFolder(t);
    const coarse = [96 * 20, 96 * 96].map((n, seed) => [...gaussians(n, seed + 1)].map(Math.round));
    const path = await writeModel(directory, 'mlp', {
      inputs: [value('input', ['batch', 20])],
      outputs: [value('y', ['batch', 96])],
      nodes: [node('MatMul', ['input', 'a'], ['hidden']), node('MatMul', ['hidden', 'b'], ['y'])],
      initializers: [weights('a', [20, 96], coarse[0]), weights('b', [96, 96], coarse[1])],
    });
    const recipe = { budget: { sparsity: 0.8 }, ...AUTO };
    await using shared = await pruneFiles(path, recipe, { calibration: unlabelled(), chunkElements: 4096 });
    await using whole = await pruneFiles(path, recipe, { calibration: unlabelled() });
    assert.deepEqual(allocationOf(shared), allocationOf(whole));
    assert.equal(shared.report.total.n_keep, Math.ceil(0.2 * (96 * 116)));
    const masks = await readTensors(join(shared.directory, 'masks.safetensors'));
    for (const [i, name] of ['a', 'b'].entries()) {
      const ranked = [...coarse[i].keys()].sort((x, y) => Math.abs(coarse[i][y]) - Math.abs(coarse[i][x]));
      const kept = unpackMask(masks.get(name) ?? assert.fail(), coarse[i].length);
      const highest = ranked.slice(0, shared.report.tensors[i].n_keep).sort((x, y) => x - y);
      assert.deepEqual(
        [...kept.keys()].filter((at) => kept[at] === 1),
        highest,
      );
    }
  });

  test('a recipe that leaves no total to share is told why', () => {
    for (const [recipe, message] of [
      [
        { granularity: 'channel', criterion: 'l2_norm' },
        'auto shares weights among tensors, and the granularity is channel',
      ],
      [
        { scope: 'row' },
        'auto shares a total among tensors, and scope row decides in every row: give layer or global',
      ],
      [
        { scope: 'layer', budget: { sparsity: 0.5 } },
        'auto shares a total, and a budget of scope layer is a share of every tensor: give scope global',
      ],
    ] as const) {
      const { error } = recipeSchema.safeParse({ ...recipe, ...AUTO });
      assert.deepEqual(
        error?.issues.map(({ path, message }) => [path, message]),
        [[['allocation'], message]],
      );
    }
  });

  test('moves go with it alone', () => {
    const { error } = recipeSchema.safeParse({ allocation_moves: 3 });
    assert.deepEqual(
      error?.issues.map(({ path, message }) => [path, message]),
      [[['allocation_moves'], 'goes with allocation auto, of whose best rule it moves weights']],
    );
  });
});
