import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { estimateTrace } from '../../../src/autodiff/curvature.ts';
import { mainPath } from '../../../src/formats/stored-model.ts';
import { recipeSchema } from '../../../src/recipe/recipe.ts';
import { perceptronContext, w1, w2 } from '../../models/perceptron.ts';
import { decode, writeSmallModel } from '../../models/small-safetensors.ts';
import { pruneFiles } from '../prune-files.ts';

const close = (found: number | null | undefined, expected: number) =>
  assert.ok(Math.abs((found ?? Number.NaN) / expected - 1) < 1e-9, `${found}, not ${expected}`);

/** By the definition, from the weights before and after. */
function perTrace(dense: readonly number[], pruned: readonly number[], nKeep: number): number {
  const squares = dense.reduce((sum, weight, i) => sum + (weight - pruned[i]) ** 2, 0);
  const density = nKeep / dense.length;
  return ((1 - density) / (2 * dense.length * density)) * squares;
}

describe('loss_bound', () => {
  const values = (n: number, seed: number) =>
    Array.from({ length: n }, (_, i) => Math.sin(seed + i * i) * 1.5 ** (i % 7));
  for (const scope of ['global', 'layer', 'row'] as const) {
    for (const dtype of ['float32', 'float64', 'bfloat16'] as const) {
      test(`per_trace of ${dtype} weights, scope ${scope}`, async () => {
        await using model = await writeSmallModel([
          { name: 'a.weight', dtype, shape: [50, 90], values: values(4500, 1) },
          { name: 'b.weight', dtype, shape: [6, 5], values: values(30, 2) },
        ]);
        await using pruned = await pruneFiles(model.path, { scope });
        const weightsOf = async (path: string) => {
          const bytes = await readFile(path);
          return decode(new Uint8Array(bytes).subarray(8 + Number(bytes.readBigUInt64LE())), dtype);
        };
        const [dense, after] = [
          await weightsOf(model.path),
          await weightsOf(join(pruned.directory, 'model.safetensors')),
        ];
        const { loss_bound, total } = pruned.report;
        close(loss_bound?.per_trace, perTrace(dense, after, total.n_keep));
        assert.deepEqual(
          { ...loss_bound, per_trace: 0 },
          { per_trace: 0, hessian_trace: null, standard_error: null, bound: null, asymptotic: null },
        );
      });
    }
  }

  test('with a trace that is given, also of a dry run', async () => {
    await using model = await writeSmallModel([
      { name: 'a.weight', dtype: 'float32', shape: [10, 9], values: values(90, 3) },
    ]);
    await using pruned = await pruneFiles(model.path, { hessian_trace: 12, dry_run: true });
    const { loss_bound, total } = pruned.report;
    assert.ok(loss_bound);
    assert.equal(loss_bound.hessian_trace, 12);
    assert.equal(loss_bound.bound, 12 * loss_bound.per_trace);
    const l1 = values(90, 3).reduce((sum, weight) => sum + Math.abs(Math.fround(weight)), 0);
    const [rho, n] = [total.n_keep / total.n, total.n];
    close(
      loss_bound.asymptotic,
      ((l1 ** 2 * 12 * (1 - rho) ** 4) / (2 * rho)) * (1 - Math.sqrt((1 - rho) / (n * rho))) ** 2,
    );
  });

  test('is null where squares of weights leave float64, and nothing fails', async () => {
    await using model = await writeSmallModel([
      { name: 'a.weight', dtype: 'float64', shape: [2, 4], values: [1e300, 1e290, 1e300, 1e280, 0, 1, 2, 3] },
    ]);
    await using pruned = await pruneFiles(model.path, { hessian_trace: 1 });
    assert.equal(pruned.report.loss_bound, null);
  });

  test('with a trace estimated on calibration data', async (t) => {
    const context = await perceptronContext(t);
    const stages = new Set<string>();
    await using pruned = await pruneFiles(
      mainPath(context.model),
      { hessian_probes: 6, include: ['w1', 'w2'] },
      { calibration: context.samples, onProgress: (_, stage) => void stages.add(stage) },
    );
    const { trace, standardError } = await estimateTrace(['w1', 'w2'], 6, context);
    const { loss_bound, environment } = pruned.report;
    assert.ok(loss_bound);
    assert.deepEqual([loss_bound.hessian_trace, loss_bound.standard_error], [trace, standardError]);
    assert.ok(trace > 0);
    assert.equal(loss_bound.bound, loss_bound.per_trace * trace);
    assert.ok(stages.has('curvature'));
    assert.notEqual(environment.onnxruntime, null);
    assert.equal(pruned.report.total.n, w1.length + w2.length);
  });

  test('of a criterion that is not magnitude there is none', async (t) => {
    const context = await perceptronContext(t);
    const path = mainPath(context.model);
    const recipe = { criterion: 'taylor', include: ['w1', 'w2'] };
    await using pruned = await pruneFiles(path, recipe, { calibration: context.samples });
    assert.equal(pruned.report.loss_bound, null);
    for (const field of [{ hessian_probes: 2 }, { hessian_trace: 2 }]) {
      const { error } = recipeSchema.safeParse({ ...recipe, ...field });
      assert.deepEqual(error?.issues[0]?.path, Object.keys(field));
      assert.match(error?.issues[0]?.message ?? '', /criterion magnitude, .*, not with taylor$/);
    }
    const both = recipeSchema.safeParse({ hessian_probes: 2, hessian_trace: 2 });
    assert.equal(both.error?.issues[0]?.message, 'give only one of hessian_probes, hessian_trace');
  });

  test('probes without labelled data are refused', async (t) => {
    const context = await perceptronContext(t);
    const path = mainPath(context.model);
    const calibration = { ...context.samples, labels: null };
    await assert.rejects(pruneFiles(path, { hessian_probes: 1 }, { calibration }), {
      code: 'invalid_request',
      message: /^hessian_probes needs calibration data with labels: /,
    });
  });
});
