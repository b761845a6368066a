import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { pruneFiles } from './prune-files.ts';

describe('a model that pruning has killed', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  before(async () => {
    mlp = await writeMlp([20, 48, 32, 5], 300);
  });
  after(() => mlp[Symbol.asyncDispose]());

  const pruneMlp = (recipe: object, options: Parameters<typeof pruneFiles>[2] = {}) =>
    pruneFiles(mlp.path, recipe, { evaluation: mlp.samples, ...options });

  test('is seen to predict the same everywhere, and called unsafe in every form', async () => {
    await using pruned = await pruneMlp({ scope: 'layer', budget: { sparsity: 0.999 } });
    const { evaluation, decision } = pruned.report;
    assert.ok(evaluation);
    assert.equal(evaluation.one_answer, true);
    assert.deepEqual([decision.status, decision.reasons[0]], ['unsafe', 'one_answer']);
    assert.deepEqual([pruned.summary.decision, pruned.summary.sentence], ['unsafe', decision.sentence]);
    for (const name of ['report.html', 'report.md']) {
      const text = await readFile(join(pruned.directory, name), 'utf8');
      assert.ok(text.replaceAll('\u00a0', ' ').includes(decision.sentence), name);
    }
  });

  test('without labels too', async () => {
    const evaluation = { ...mlp.samples, labels: null };
    await using pruned = await pruneMlp({ scope: 'layer', budget: { sparsity: 0.999 } }, { evaluation });
    assert.equal(pruned.report.evaluation?.one_answer, true);
    assert.equal(pruned.report.decision.status, 'unsafe');
  });

  for (const outputs of [1, 4]) {
    test(`is seen where ${outputs} outputs are a large number whatever comes in`, async () => {
      await using offset = await writeMlp([16, 64, outputs], 300, 1000);
      for (const labels of [null, offset.samples.labels]) {
        const evaluation = { ...offset.samples, labels };
        const measure = (sparsity: number) =>
          pruneFiles(offset.path, { scope: 'global', budget: { sparsity } }, { evaluation });
        await using dead = await measure(0.999);
        const { variance, one_answer, pruned } = dead.report.evaluation ?? assert.fail();
        assert.deepEqual([variance?.kept, one_answer], [0, true]);
        assert.ok(labels || (pruned.relative_l2 ?? 1) < 0.01, 'relative L2 does not show it');
        // No constant is nearer to the dense outputs than their mean.
        assert.ok(labels ? variance?.explained === null : (variance?.explained ?? 1) <= 1e-6);
        assert.deepEqual(
          [dead.report.decision.status, dead.report.decision.reasons[0]],
          ['unsafe', 'one_answer'],
        );
        assert.ok(dead.report.verdict.warnings.some(({ code }) => code === 'variance_lost'));
        await using alive = await measure(0.1);
        assert.equal(alive.report.evaluation?.one_answer, false);
        assert.ok((alive.report.evaluation?.variance?.kept ?? 0) > 0.5);
        assert.ok(!alive.report.verdict.warnings.some(({ code }) => code === 'variance_lost'));
      }
    });
  }

  test('is not chosen for a promise of relative L2 that it would keep', async () => {
    await using offset = await writeMlp([16, 64, 1], 300, 1000);
    const evaluation = { ...offset.samples, labels: null };
    const recipe = { target: { max_relative_l2: 0.01 }, scope: 'global' };
    await using pruned = await pruneFiles(offset.path, recipe, { evaluation });
    const { search, one_answer, variance, pruned: measured } = pruned.report.evaluation ?? assert.fail();
    assert.deepEqual([search?.met, search?.found, one_answer], [true, true, false]);
    const { decision } = pruned.report;
    assert.ok((variance?.explained ?? 1) < 0.5);
    assert.equal(decision.status, 'harmed', 'relative L2 says nothing of what is left to tell');
    assert.match(decision.sentence, /^Do not ship it, clearly worse beyond the promise: outputs explain/);
    const [{ recipe: next }] = decision.next;
    const { max_relative_l2: limit = 0 } = (next?.target ?? {}) as { max_relative_l2?: number };
    assert.ok(limit > 0 && limit < (measured.relative_l2 ?? 0));
  });

  test('is told from one that has lost nothing', async () => {
    await using pruned = await pruneMlp({ scope: 'layer', budget: { sparsity: 0.1 } });
    assert.equal(pruned.report.evaluation?.one_answer, false);
    assert.deepEqual(pruned.report.decision.reasons, []);
  });

  test('is held against what one answer for all would reach on the same samples', async () => {
    await using pruned = await pruneMlp({ beta: 1 });
    const { guess, dense } = pruned.report.evaluation ?? assert.fail();
    assert.ok(guess && guess.loss !== null && dense.loss !== null);
    // Of five classes, of which none need be as frequent as another.
    assert.ok(guess.loss > 0 && guess.loss < Math.log(5) + 0.1, `${guess.loss}`);
    assert.ok((guess.accuracy ?? 0) >= 1 / 5 && dense.loss < guess.loss);
  });

  test('the recipe of a report is one that the service takes', async () => {
    for (const recipe of [
      { beta: 1 },
      { target: { max_loss_increase: 0.5 } },
      { budget: { sparsity: 0.5 } },
    ]) {
      await using pruned = await pruneMlp(recipe);
      const again = recipeSchema.parse(pruned.report.recipe);
      await using repeated = await pruneMlp(again);
      assert.deepEqual(repeated.report.recipe, pruned.report.recipe);
      assert.equal(repeated.report.total.n_keep, pruned.report.total.n_keep);
    }
  });

  test('latency is timed against itself as well', async () => {
    await using pruned = await pruneMlp({ beta: 1 }, { isTimed: true });
    const [speed, ...others] = pruned.report.evaluation?.speedups ?? [];
    assert.equal(others.length, 0, 'of weights only at the default level');
    assert.ok(speed.low <= speed.speedup && speed.speedup <= speed.high);
    assert.ok(speed.noise > 0 && speed.rounds >= 6);
  });
});
