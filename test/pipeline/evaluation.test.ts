import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import type { BetaPoint } from '../../src/pipeline/candidates.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import type { Target } from '../../src/recipe/target.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { writeSmallModel } from '../models/small-safetensors.ts';
import { writeArray, writePart } from '../runtime/samples.ts';
import { pruneFiles, sha256Of } from './prune-files.ts';

/** What a job measured, less what a second run of it measures otherwise. */
function figures({ evaluation }: Report) {
  assert.ok(evaluation);
  const { latency_ms: _, ...dense } = evaluation.dense;
  const { latency_ms: __, ...pruned } = evaluation.pruned;
  return { ...evaluation, dense, pruned, speedups: [] };
}

describe('evaluation', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  before(async () => {
    mlp = await writeMlp([20, 48, 32, 5], 300);
  });
  after(() => mlp[Symbol.asyncDispose]());

  const pruneMlp = (recipe: object, options: Parameters<typeof pruneFiles>[2] = {}) =>
    pruneFiles(mlp.path, recipe, { evaluation: mlp.samples, ...options });

  test('a sweep measures what jobs of their own measure at those betas', async () => {
    await using swept = await pruneMlp({ beta: 0.9, sweep_betas: [0.6, 1, 0.9, 40] });
    assert.ok(reportSchema.safeParse(swept.report).success);
    const { sweep, beta_1, pruned } = figures(swept.report);
    assert.deepEqual(
      sweep.map(({ beta }) => beta),
      [0.6, 1, 0.9, 40],
    );
    for (const { beta, sparsity, loss, accuracy } of sweep) {
      await using alone = await pruneMlp({ beta });
      assert.deepEqual(
        { sparsity, loss, accuracy },
        {
          sparsity: alone.report.total.sparsity,
          loss: figures(alone.report).pruned.loss,
          accuracy: figures(alone.report).pruned.accuracy,
        },
      );
    }
    assert.deepEqual({ beta: 1, ...beta_1 }, sweep[1]);
    assert.equal(pruned.loss, sweep[2].loss);
    const { loss, accuracy } = figures(swept.report).dense;
    assert.deepEqual([sweep[3].sparsity, sweep[3].loss, sweep[3].accuracy], [0, loss, accuracy]);
  });

  for (const scope of ['global', 'row'] as const) {
    test(`the uniform baseline of scope ${scope} is a budget of the same total spread evenly`, async () => {
      await using emp = await pruneMlp({ scope });
      const { uniform } = figures(emp.report);
      assert.ok(uniform);
      const budget = { sparsity: emp.report.total.sparsity };
      await using even = await pruneMlp({ scope: scope === 'row' ? 'row' : 'layer', budget });
      assert.equal(uniform.loss, figures(even.report).pruned.loss);
      assert.equal(uniform.sparsity, even.report.total.sparsity);
      assert.equal(figures(even.report).uniform, null);
    });
  }

  test('a search within max_disagreement needs entries to choose from', async () => {
    await using one = await writeMlp([6, 8, 1], 20);
    await assert.rejects(
      pruneFiles(
        one.path,
        { target: { max_disagreement: 0.1 } },
        { evaluation: { ...one.samples, labels: null } },
      ),
      {
        code: 'invalid_request',
        message: /max_disagreement needs predictions: an output of several entries/,
      },
    );
  });

  test('a dry run measures the same and writes no model', async () => {
    await using wet = await pruneMlp({ scope: 'layer' }, { isTimed: true });
    await using dry = await pruneMlp({ scope: 'layer', dry_run: true });
    assert.deepEqual({ ...figures(dry.report), batch_size: 0 }, { ...figures(wet.report), batch_size: 0 });
    assert.equal(dry.report.evaluation?.pruned.latency_ms, null);
    assert.ok(Number(wet.report.evaluation?.pruned.latency_ms) > 0);
    await using untimed = await pruneMlp({ scope: 'layer' });
    assert.deepEqual(figures(untimed.report), figures(dry.report));
    assert.ok(!existsSync(join(dry.directory, 'mlp.onnx')));
  });

  test('without labels the outputs are compared', async () => {
    const evaluation = { ...mlp.samples, labels: null };
    await using pruned = await pruneMlp({ sweep_betas: [0.5, 40] }, { evaluation });
    const { metric_names, sweep, dense, uniform } = figures(pruned.report);
    assert.deepEqual(metric_names, ['relative_l2', 'cosine', 'top1_agreement']);
    assert.equal(dense.loss, null);
    const [sparse, all] = sweep;
    assert.deepEqual([all.relative_l2, all.top1_agreement], [0, 1]);
    assert.ok(Math.abs(Number(all.cosine) - 1) < 1e-12);
    assert.ok(Number(sparse.relative_l2) > 0 && Number(sparse.cosine) < 1);
    assert.ok(uniform && uniform.loss === null && Number(uniform.relative_l2) > 0);
  });

  test('the model of a search is the one at the beta it found, measured again', async () => {
    const target = { max_accuracy_drop: 0.05 };
    await using found = await pruneMlp({ target });
    const { search, pruned, dense, beta_1 } = figures(found.report);
    assert.ok(search?.met && search.found);
    const chosen = search.evaluations.find(({ beta }) => beta === search.beta);
    assert.equal(chosen?.sparsity, found.report.total.sparsity);
    assert.ok(Number(search.dense.accuracy) - Number(chosen?.accuracy) < 0.05 + 1e-9);
    assert.ok(Number(dense.accuracy) - Number(pruned.accuracy) < 0.05 + 1e-9);
    assert.ok(search.evaluations.length <= 13);
    assert.deepEqual(found.report.recipe.target, target);
    assert.equal(beta_1?.sparsity, search.evaluations[0].sparsity);
    await using direct = await pruneMlp({ beta: search.beta });
    const path = 'mlp.onnx';
    assert.equal(await sha256Of(join(direct.directory, path)), await sha256Of(join(found.directory, path)));
  });

  for (const isLabelled of [false, true]) {
    test(`a search on the dense model's outputs, ${isLabelled ? 'with labels beside' : 'without labels'}`, async () => {
      const labels = isLabelled ? mlp.samples.labels : null;
      const evaluation = { ...mlp.samples, labels };
      await using sparse = await pruneMlp(
        { sweep_betas: [0.3] },
        { evaluation: { ...evaluation, labels: null } },
      );
      const most = figures(sparse.report).sweep[0];
      for (const [target, costOf] of [
        [{ max_disagreement: 0.03 }, ({ top1_agreement }) => 1 - Number(top1_agreement)],
        [{ max_relative_l2: 0.1 }, ({ relative_l2 }) => Number(relative_l2)],
        [{ max_kl: 0.01 }, ({ kl }) => Number(kl ?? Number.POSITIVE_INFINITY)],
        [
          { max_cosine_distance: 0.01 },
          ({ cosine_distance }) => Number(cosine_distance ?? Number.POSITIVE_INFINITY),
        ],
      ] as [
        Target,
        (point: Pick<BetaPoint, 'top1_agreement' | 'relative_l2' | 'kl' | 'cosine_distance'>) => number,
      ][]) {
        await using found = await pruneMlp({ target }, { evaluation });
        const { search, pruned, dense, metric_names } = figures(found.report);
        const [limit = Number.NaN] = Object.values(target);
        assert.ok(search?.found && costOf(most) > limit);
        assert.equal(search.met, costOf(pruned) <= limit + 1e-9);
        assert.ok(found.report.total.sparsity > 0.05);
        const own = 'max_kl' in target ? ['kl'] : 'max_cosine_distance' in target ? ['cosine_distance'] : [];
        const drift = ['relative_l2', 'cosine', 'top1_agreement', ...own];
        assert.equal(pruned.kl !== null && pruned.kl_standard_error !== null, 'max_kl' in target);
        assert.deepEqual(metric_names, labels ? ['loss', 'accuracy', ...drift] : drift);
        assert.equal(dense.loss === null, labels === null);
        assert.equal(pruned.loss === null, labels === null);
        assert.equal(pruned.accuracy_drop_standard_error === null, labels === null);
        if (labels)
          assert.ok(Number(dense.accuracy) - Number(pruned.accuracy) <= 1 - Number(pruned.top1_agreement));
        const parts = splitSamples(300, 1, 1 / 2, 0) ?? assert.fail();
        await using alone = await pruneMlp(
          { beta: search.beta },
          { evaluation: await writePart({ ...evaluation, labels: null }, parts.second) },
        );
        assert.equal(figures(alone.report).pruned.relative_l2, pruned.relative_l2);
        assert.equal(figures(alone.report).pruned.top1_agreement, pruned.top1_agreement);
        const words = {
          max_disagreement: /within a change of 3 % of the predictions/,
          max_relative_l2: /within a relative L2 drift of 10 %/,
          max_cosine_distance: /within a cosine distance of 0\.01.*the cosine distance is 0\.\d+/,
          max_kl: /within a KL divergence of 0\.01 nats.*the KL divergence is 0\.\d+ nats/,
        };
        assert.match(found.report.verdict.text, words[Object.keys(target)[0] as keyof typeof words]);
        assert.match(found.report.verdict.text, /of the predictions stay the same/);
      }
    });
  }

  for (const criterion of ['wanda', 'activation', 'taylor']) {
    test(`${criterion}: the same masks and model for 1, 2 and 3 threads`, async () => {
      const results = new Set<string>();
      for (const threads of [1, 2, 3]) {
        await using pruned = await pruneMlp(
          { criterion, scope: 'row' },
          { calibration: mlp.samples, threads },
        );
        const [model, masks] = pruned.artifacts;
        results.add(`${model.sha256} ${masks.sha256}`);
      }
      assert.equal(results.size, 1);
    });
  }

  test('a job without data is byte-identical from run to run, its page included', async () => {
    await using first = await pruneFiles(mlp.path, {});
    await using second = await pruneFiles(mlp.path, {});
    assert.deepEqual(first.artifacts, second.artifacts);
  });

  test('data that does not fit fails with its place, and leaves no candidate behind', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'emp-labels-'));
    try {
      const numbers = new BigInt64Array(300);
      numbers[217] = 5n;
      const labels = await writeArray(directory, 'labels', 'int64', [300], numbers);
      const outputDirectory = join(directory, 'output');
      const evaluation = { ...mlp.samples, labels };
      await assert.rejects(
        pruneMlp({}, { evaluation, outputDirectory }),
        (error: EmpError) =>
          error.code === 'invalid_labels' &&
          /^evaluation data: .*217/.test(error.message) &&
          error.findings[0].input === 'evaluation',
      );
      assert.ok(!(await readdir(outputDirectory)).includes('mlp.onnx'));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('a cancellation in the middle of a sweep ends it', async () => {
    const controller = new AbortController();
    const options = {
      signal: controller.signal,
      onProgress: (percent: number, stage: string) => {
        if (stage === 'evaluate' && percent > 40) controller.abort(new Error('enough'));
      },
    };
    await assert.rejects(pruneMlp({ sweep_betas: [0.5, 0.6, 0.7, 0.8, 0.9, 1.1] }, options), /enough/);
  });

  test('a recipe that needs data, or a model that cannot be run, is refused', async () => {
    for (const recipe of [{ sweep_betas: [1] }, { target: { max_loss_increase: 0.1 } }]) {
      await assert.rejects(
        pruneFiles(mlp.path, recipe),
        (error) =>
          error instanceof EmpError && error.findings[0].path === `/recipe/${Object.keys(recipe)[0]}`,
      );
    }
    await using model = await writeSmallModel([
      { name: 'fc.weight', dtype: 'float32', shape: [2, 2], values: [1, 2, 3, 4] },
    ]);
    await assert.rejects(
      pruneFiles(model.path, {}, { evaluation: mlp.samples }),
      (error) => error instanceof EmpError && /ONNX/.test(error.message),
    );
  });
});
