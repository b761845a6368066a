import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { reportSchema } from '../../src/report/report.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { writeArray, writePart } from '../runtime/samples.ts';
import { type Pruned, pruneFiles, sha256Of } from './prune-files.ts';

const REPAIR = ['least_squares'];

const modelOf = ({ directory }: Pruned, file = 'mlp.onnx') => sha256Of(join(directory, file));

describe('repairs of a job', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  before(async () => {
    mlp = await writeMlp([20, 48, 32, 5], 300);
  });
  after(() => mlp[Symbol.asyncDispose]());

  type Options = Parameters<typeof pruneFiles>[2];
  const pruneMlp = (recipe: object, options: Options = {}) =>
    pruneFiles(mlp.path, recipe, { calibration: mlp.samples, evaluation: mlp.samples, ...options });

  /** The calibration samples that repairs are judged by. */
  const heldOut = () => writePart(mlp.samples, splitSamples(300, 1, 1 / 8, 0)?.second ?? assert.fail());

  /** Data on which the model does something else than on the evaluation data. */
  const misleading = async (value: number) => {
    const numbers = new Float32Array(3 * 20).map((_, i) => value * (i % 20));
    const inputs = [await writeArray(mlp.directory, `calibration${value}`, 'float32', [3, 20], numbers)];
    return { nSamples: 3, inputs: [{ ...inputs[0], name: 'input' }], labels: null };
  };

  test('a repair that helps is kept, measured before and after', async () => {
    const stages = new Set<string>();
    const onProgress = (_: number, stage: string) => void stages.add(stage);
    await using plain = await pruneMlp({ beta: 0.6 }, { calibration: null });
    await using plainThere = await pruneMlp(
      { beta: 0.6 },
      { calibration: null, evaluation: await heldOut() },
    );
    await using repaired = await pruneMlp({ beta: 0.6, repair: REPAIR }, { onProgress });
    const { repair, evaluation, verdict, total } = repaired.report;
    await using again = await pruneFiles(
      join(repaired.directory, 'mlp.onnx'),
      { beta: 40 },
      { evaluation: await heldOut() },
    );
    assert.ok(reportSchema.safeParse(repaired.report).success);
    const { loss } = evaluation?.pruned ?? assert.fail();
    assert.deepEqual(repair, [
      {
        name: 'least_squares',
        kept: true,
        problem: null,
        n_repaired: 3,
        left_out: [],
        loss_before: plainThere.report.evaluation?.pruned.loss,
        loss_after: again.report.evaluation?.dense.loss,
        relative_l2_before: null,
        relative_l2_after: null,
      },
    ]);
    assert.ok(Number(loss) < Number(plain.report.evaluation?.pruned.loss));
    assert.match(
      verdict.text,
      /; repaired by least_squares \(loss from [\d.]+ to [\d.]+\); measured on 300 samples/,
    );
    assert.ok(stages.has('repair'));
    assert.deepEqual(total, plain.report.total);
    assert.deepEqual(
      repaired.report.tensors.map(({ mask_sha256 }) => mask_sha256),
      plain.report.tensors.map(({ mask_sha256 }) => mask_sha256),
    );
    assert.notEqual(await modelOf(repaired), await modelOf(plain));
  });

  test('a repair that hurts is undone, to the byte', async () => {
    await using plain = await pruneMlp({ beta: 1.3 }, { calibration: null });
    const [input] = mlp.samples.inputs;
    const calibration = {
      nSamples: 2,
      inputs: [{ ...input, shape: [2, 20], offset: 80 * 20 }],
      labels: null,
    };
    await using tried = await pruneMlp({ beta: 1.3, repair: REPAIR }, { calibration });
    const [{ kept, problem, relative_l2_before, relative_l2_after }] = tried.report.repair;
    assert.deepEqual([kept, problem], [false, 'the model is no better with it']);
    assert.ok(Number(relative_l2_after) > Number(relative_l2_before));
    assert.equal(tried.report.evaluation?.pruned.loss, plain.report.evaluation?.pruned.loss);
    assert.equal(await modelOf(tried), await modelOf(plain));
    const { text, warnings } = tried.report.verdict;
    assert.match(text, /; not repaired by least_squares; measured on/);
    assert.match(
      warnings.find(({ code }) => code === 'repair_not_kept')?.text ?? '',
      /^The model is without the repair least_squares: the model is no better with it \(drift from [\d.]+ % to [\d.]+ %\)\.$/,
    );
  });

  test('without labels the drift decides, without evaluation data nothing does', async () => {
    const evaluation = { ...mlp.samples, labels: null };
    await using drifted = await pruneMlp({ beta: 0.6, repair: REPAIR }, { evaluation });
    const [{ kept, loss_before, relative_l2_before, relative_l2_after }] = drifted.report.repair;
    assert.ok(kept && loss_before === null && Number(relative_l2_after) < Number(relative_l2_before));
    assert.match(
      drifted.report.verdict.text,
      /repaired by least_squares \(drift from [\d.]+ % to [\d.]+ %\)/,
    );

    await using unmeasured = await pruneMlp({ beta: 0.6, repair: REPAIR }, { evaluation: null });
    const [step] = unmeasured.report.repair;
    assert.deepEqual([step.kept, step.loss_before, step.relative_l2_after], [true, null, null]);
    assert.notEqual(await modelOf(unmeasured), await modelOf(drifted), 'it is fitted to all samples');
    assert.match(unmeasured.report.verdict.text, /; repaired by least_squares; what that costs/);
  });

  test('activations that are not finite leave the model without the repair', async () => {
    await using plain = await pruneMlp({}, { calibration: null });
    const calibration = await misleading(Number.MAX_VALUE);
    await using tried = await pruneMlp({ repair: REPAIR }, { calibration });
    const [{ kept, problem, n_repaired }] = tried.report.repair;
    assert.deepEqual([kept, n_repaired], [false, 0]);
    assert.match(
      problem ?? '',
      /^calibration data: output 'logits' of the dense model is NaN or infinite at/,
    );
    assert.equal(await modelOf(tried), await modelOf(plain));
  });

  test('a sweep, the uniform baseline and a search repair every candidate', async () => {
    const recipe = { beta: 0.6, sweep_betas: [0.6, 0.4], repair: REPAIR };
    await using swept = await pruneMlp(recipe);
    const { sweep, uniform, pruned } = swept.report.evaluation ?? assert.fail();
    assert.equal(sweep[0].loss, pruned.loss);
    await using alone = await pruneMlp({ beta: 0.4, repair: REPAIR });
    assert.equal(sweep[1].loss, alone.report.evaluation?.pruned.loss);
    const budget = { sparsity: swept.report.total.sparsity };
    await using even = await pruneMlp({ scope: 'layer', budget, repair: REPAIR });
    assert.equal(uniform?.loss, even.report.evaluation?.pruned.loss);

    const target = { max_loss_increase: 0.05 };
    await using plain = await pruneMlp({ target }, { calibration: null });
    await using found = await pruneMlp({ target, repair: REPAIR });
    const { search, dense, ...rest } = found.report.evaluation ?? assert.fail();
    assert.ok(search?.found);
    assert.equal(search.met, Number(rest.pruned.loss) <= 1.05 * Number(dense.loss));
    const point = search.evaluations.find(({ beta }) => beta === search.beta);
    assert.ok(Number(point?.loss) <= 1.05 * Number(search.dense.loss));
    const [{ kept, loss_after }] = found.report.repair;
    assert.ok(kept && loss_after === point?.loss, 'repairs are judged by the samples that are searched on');
    assert.ok(found.report.total.sparsity > plain.report.total.sparsity);
  });

  test('the same model for 1, 2 and 3 threads', async () => {
    const hashes = new Set<string>();
    for (const threads of [1, 2, 3]) {
      await using repaired = await pruneMlp({ beta: 0.6, repair: REPAIR }, { threads, evaluation: null });
      hashes.add(await modelOf(repaired));
    }
    assert.equal(hashes.size, 1);
  });

  test('repairs without calibration data, named twice or of a dry run are refused', async () => {
    await assert.rejects(
      pruneMlp({ repair: REPAIR }, { calibration: null }),
      (error) => error instanceof EmpError && error.findings[0].path === '/recipe/repair',
    );
    for (const [recipe, message] of [
      [{ repair: ['bias', 'bias'] }, 'must not name a repair twice'],
      [{ repair: ['bias'], dry_run: true }, 'changes the model that is written, and dry_run writes none'],
    ] as const) {
      const { error } = recipeSchema.safeParse(recipe);
      assert.deepEqual([error?.issues[0]?.path, error?.issues[0]?.message], [['repair'], message]);
    }
  });
});
