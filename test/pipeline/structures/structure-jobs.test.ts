import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ModelInventory } from '../../../src/formats/model.ts';
import { reportSchema } from '../../../src/report/report.ts';
import { openSession } from '../../../src/runtime/session.ts';
import { RUNTIME, weightsOf } from '../../criteria/run-criterion.ts';
import { writeMlp } from '../../models/small-mlp.ts';
import { readTensors, unpack } from '../../models/small-safetensors.ts';
import { inventoryOf, type Pruned, pruneFiles, sha256Of } from '../prune-files.ts';

const LAYERS = [20, 48, 32, 5];
const N_SAMPLES = 300;
/** Of the hidden layers. */
const FAMILIES = ['fc0.weight', 'fc1.weight'];

type Options = NonNullable<Parameters<typeof pruneFiles>[2]>;

let mlp: Awaited<ReturnType<typeof writeMlp>>;
/** Each `[in, out]`. */
let matrices: Float64Array[];
before(async () => {
  mlp = await writeMlp(LAYERS, N_SAMPLES);
  matrices = await matricesOf(mlp.directory, await inventoryOf(mlp.directory, ['mlp.onnx']));
});
after(() => mlp[Symbol.asyncDispose]());

const CHANNELS = { granularity: 'channel', criterion: 'l2_norm', scope: 'layer', round_to: 1 };
const prune = (recipe: object, options: Options = {}) =>
  pruneFiles(mlp.path, { ...CHANNELS, ...recipe }, options);
const modelOf = ({ directory }: Pruned) => sha256Of(join(directory, 'mlp.onnx'));

async function matricesOf(directory: string, { tensors }: ModelInventory): Promise<Float64Array[]> {
  const found: Float64Array[] = [];
  for (const tensor of tensors) found.push(await weightsOf(directory, tensor));
  return found;
}

/** Which units of each family `masks.safetensors` keeps. */
async function keptUnits({ directory, report }: Pruned): Promise<number[][]> {
  const masks = await readTensors(join(directory, 'masks.safetensors'));
  return (report.structures?.families ?? []).map(({ name, n, mask_sha256 }) => {
    const mask = masks.get(name) ?? assert.fail(name);
    assert.equal(createHash('sha256').update(mask).digest('hex'), mask_sha256);
    return unpack(mask, n).flatMap((keep, unit) => (keep ? [unit] : []));
  });
}

const range = (length: number) => [...Array(length).keys()];

/** Rows and columns of a matrix. */
function pick(matrix: Float64Array, width: number, rows: readonly number[], columns: readonly number[]) {
  return rows.flatMap((row) => columns.map((column) => matrix[row * width + column]));
}

/** The mean cross-entropy of the perceptron with these hidden units alone. */
async function lossWith(kept: readonly (readonly number[])[]): Promise<number> {
  const numbers = async (path: string) => (await readFile(path)).buffer;
  const inputs = new Float32Array(await numbers(join(mlp.directory, 'input.bin')));
  const labels = new BigInt64Array(await numbers(join(mlp.directory, 'labels.bin')));
  const units = [range(LAYERS[0]), ...kept, range(LAYERS[3])];
  let loss = 0;
  for (let sample = 0; sample < N_SAMPLES; sample++) {
    let values = Array.from(inputs.subarray(sample * LAYERS[0], (sample + 1) * LAYERS[0]));
    for (const [layer, matrix] of matrices.entries()) {
      const width = LAYERS[layer + 1];
      values = units[layer + 1].map((unit) =>
        units[layer].reduce((sum, from, i) => sum + values[i] * matrix[from * width + unit], 0),
      );
      if (layer < 2) values = values.map((value) => Math.max(0, value));
    }
    const total = values.reduce((sum, value) => sum + Math.exp(value), 0);
    loss += (Math.log(total) - values[Number(labels[sample])]) / N_SAMPLES;
  }
  return loss;
}

describe('pruning structures', () => {
  test('removes those of the lowest scores from every tensor that they run through', async () => {
    await using pruned = await prune({ beta: 0.7 }, { evaluation: mlp.samples });
    const { report } = pruned;
    assert.ok(reportSchema.safeParse(report).success);
    const kept = await keptUnits(pruned);
    for (const [layer, family] of (report.structures?.families ?? []).entries()) {
      const [height, width] = [LAYERS[layer], LAYERS[layer + 1]];
      const norms = range(width).map((unit) =>
        Math.hypot(...pick(matrices[layer], width, range(height), [unit])),
      );
      const squares = norms.reduce((sum, norm) => sum + norm ** 2, 0);
      const nEff = norms.reduce((sum, norm) => sum + norm, 0) ** 2 / squares;
      const best = range(width).sort((a, b) => norms[b] - norms[a] || a - b);
      const expected = best.slice(0, Math.floor(0.7 * nEff)).sort((a, b) => a - b);
      assert.deepEqual(kept[layer], expected);
      const { name, kind, n, n_keep, sparsity, producers } = family;
      assert.deepEqual(
        [name, kind, n, n_keep, sparsity, producers],
        [FAMILIES[layer], 'channel', width, expected.length, 1 - expected.length / width, [name]],
      );
      assert.ok(Math.abs(Number(family.n_eff) / nEff - 1) < 1e-12);
    }
    const inventory = await inventoryOf(pruned.directory, ['mlp.onnx']);
    const left = await matricesOf(pruned.directory, inventory);
    const units = [range(LAYERS[0]), ...kept, range(LAYERS[3])];
    for (const [layer, matrix] of matrices.entries())
      assert.deepEqual([...left[layer]], pick(matrix, LAYERS[layer + 1], units[layer], units[layer + 1]));
    const [a, b] = kept.map(({ length }) => length);
    assert.deepEqual(report.structures?.parameters, {
      dense: 20 * 48 + 48 * 32 + 32 * 5,
      pruned: 20 * a + a * b + b * 5,
    });
    assert.equal(inventory.nParameters, 20 * a + a * b + b * 5);
    assert.equal(report.total.n_keep, a + b);
    assert.ok(Math.abs(Number(report.evaluation?.pruned.loss) - (await lossWith(kept))) < 1e-4);
    assert.ok(Number(report.sizes.pruned_bytes) < report.sizes.dense_bytes);
    assert.match(report.verdict.text, /^EMP at beta 0\.7 removes \d+ of 80 channels .* parameters\)/);
  });

  test('what is frozen is told with the reason', async () => {
    await using pruned = await prune({});
    const { structures } = pruned.report;
    assert.equal(structures?.n_frozen, 2);
    assert.deepEqual(
      structures?.frozen.map(({ tensor, axis, reason }) => [tensor, axis, reason]),
      [
        ['fc0.weight', 0, 'is tied to an axis that cannot shrink'],
        ['fc2.weight', 1, 'is an axis of an output of the model'],
      ],
    );
  });

  test('the model takes batches of any size', async () => {
    await using pruned = await prune({ beta: 0.5 });
    await using session = await openSession(join(pruned.directory, 'mlp.onnx'), RUNTIME);
    for (const batch of [1, 7]) {
      const data = new Float32Array(batch * 20).map((_, i) => Math.sin(i));
      const feeds = new Map([['input', { dtype: 'float32', shape: [batch, 20], data }]]);
      assert.deepEqual((await session.run(feeds, ['logits'])).get('logits')?.shape, [batch, 5]);
    }
  });

  test('the same artifacts, to the byte, from run to run and for any number of threads', async () => {
    for (const criterion of ['variance', 'obs', 'taylor_rms', 'random']) {
      const calibration = criterion === 'random' ? null : mlp.samples;
      const found = new Set<string>();
      for (const threads of [2, 2, 1]) {
        await using pruned = await prune({ criterion }, { calibration, threads });
        found.add(JSON.stringify(pruned.artifacts));
        assert.deepEqual((await readdir(pruned.directory)).sort(), [
          ...['masks.safetensors', 'mlp.onnx', 'report.html', 'report.json', 'report.md'],
        ]);
      }
      assert.equal(found.size, 1, criterion);
    }
  });

  test('a dry run decides and measures the same, and writes no model', async () => {
    const recipe = { criterion: 'variance', beta: 0.8 };
    const data = { calibration: mlp.samples, evaluation: mlp.samples };
    await using written = await prune(recipe, { ...data, isTimed: true });
    await using dry = await prune({ ...recipe, dry_run: true }, { ...data, isTimed: true });
    assert.deepEqual(dry.report.total, written.report.total);
    assert.deepEqual(dry.report.structures?.families, written.report.structures?.families);
    assert.equal(dry.report.structures?.parameters.pruned, null);
    assert.equal(dry.report.evaluation?.pruned.loss, written.report.evaluation?.pruned.loss);
    assert.equal(dry.report.evaluation?.pruned.latency_ms, null);
    const levels = [written, dry].map(({ report }) => report.evaluation?.speedups.map(({ level }) => level));
    assert.deepEqual(levels, [['all', 'extended'], []]);
    assert.deepEqual((await readdir(dry.directory)).sort(), [
      ...['masks.safetensors', 'report.html', 'report.json', 'report.md'],
    ]);
    assert.match(dry.report.verdict.text, /would remove .* this was a dry run, no model was written/);
  });

  test('a sweep measures what jobs at its betas do, and the uniform baseline the same sparsity by family', async () => {
    const [calibration, evaluation] = [mlp.samples, mlp.samples];
    const recipe = { criterion: 'variance', scope: 'global' };
    await using swept = await prune({ ...recipe, sweep_betas: [1, 0.5, 1.5] }, { calibration, evaluation });
    const { sweep, pruned, uniform } = swept.report.evaluation ?? assert.fail();
    assert.equal(sweep[0].loss, pruned.loss);
    for (const { beta, loss, sparsity } of sweep.slice(1)) {
      await using alone = await prune({ ...recipe, beta }, { calibration, evaluation });
      assert.equal(alone.report.evaluation?.pruned.loss, loss);
      assert.equal(alone.report.total.sparsity, sparsity);
    }
    // Of the fixed budgets that are tried the one that comes nearest to the same sparsity.
    const total = swept.report.total.sparsity;
    const missOf = (budget: number) =>
      Math.abs((Math.floor(budget * 48) + Math.floor(budget * 32)) / 80 - total);
    const budgets = [total, ...range(50).map((i) => i / 50)];
    const nearest = budgets.reduce((best, budget) => (missOf(budget) < missOf(best) ? budget : best));
    await using even = await prune(
      { criterion: 'variance', budget: { sparsity: nearest } },
      { calibration, evaluation },
    );
    assert.equal(even.report.evaluation?.pruned.loss, uniform?.loss);
    assert.equal(even.report.total.sparsity, uniform?.sparsity);
    assert.ok(Math.abs(Number(uniform?.sparsity) - total) < 0.02);
    const shares = even.report.structures?.families.map(({ sparsity }) => sparsity) ?? [];
    for (const share of shares) assert.ok(Math.abs(share - nearest) < 1 / 32, `${shares}`);
    assert.equal(even.report.evaluation?.uniform, null, 'it is spread so itself');
  });

  test('a search finds a smaller model within its target', async () => {
    const target = { max_loss_increase: 0.3 };
    await using found = await prune(
      { criterion: 'variance', target },
      { calibration: mlp.samples, evaluation: mlp.samples },
    );
    const { search, dense, pruned } = found.report.evaluation ?? assert.fail();
    assert.ok(search?.met);
    assert.ok(found.report.total.sparsity > 0);
    assert.ok(Number(pruned.loss) <= 1.3 * Number(dense.loss));
    assert.ok(search.evaluations.some(({ beta }) => beta === 1));
    const [family] = found.report.structures?.families ?? [];
    assert.equal((await keptUnits(found))[0].length, family.n_keep);
  });

  test('include and exclude choose families by the weights that compute them', async () => {
    for (const [recipe, expected] of [
      [{ include: ['fc1*'] }, ['fc1.weight']],
      [{ exclude: ['fc1*'] }, ['fc0.weight']],
    ] as const) {
      await using pruned = await prune({ ...recipe, beta: 0.5 });
      const families = pruned.report.structures?.families ?? [];
      assert.deepEqual(
        families.map(({ name }) => name),
        expected,
      );
      assert.equal(pruned.report.total.n, families[0].n);
    }
    for (const [recipe, code, path] of [
      [{ include: ['fc2*'] }, 'invalid_request', '/recipe/include/0'],
      [{ exclude: ['*'] }, 'no_prunable_tensors', '/recipe/exclude'],
      [{ granularity: 'head' }, 'no_prunable_tensors', '/recipe/granularity'],
    ] as const) {
      await assert.rejects(prune(recipe), (error: never) => {
        const { code: found, findings } = error as { code: string; findings: { path: string }[] };
        assert.deepEqual([found, findings[0].path], [code, path]);
        return true;
      });
    }
  });

  test('round_to and min_density, a budget and scores that were uploaded', async () => {
    const counts = async (recipe: object, options: Options = {}) => {
      await using pruned = await prune(recipe, options);
      const codes = pruned.report.verdict.warnings.map(({ code }) => code);
      return { counts: pruned.report.structures?.families.map(({ n_keep }) => n_keep), codes };
    };
    assert.deepEqual(
      (await counts({ beta: 0.5, round_to: undefined })).counts,
      [24, 16],
      'eights by default',
    );
    assert.deepEqual((await counts({ beta: 0.5, round_to: 10 })).counts, [30, 20]);
    const dense = await counts({ beta: 0.1, min_density: 0.5 });
    assert.deepEqual(dense.counts, [24, 16]);
    assert.ok(dense.codes.includes('counts_raised'), `${dense.codes}`);
    assert.deepEqual((await counts({ budget: { sparsity: 0.25 } })).counts, [36, 24]);
    const path = join(mlp.directory, 'input.bin'); // any numbers
    const scores = [48, 32].map((n, i) => ({
      name: FAMILIES[i],
      dtype: 'float32',
      shape: [n],
      range: { path, offset: 4 * 48 * i, byteLength: 4 * n },
    }));
    const uploaded = await counts({ criterion: 'scores' }, { scores });
    const numbers = new Float32Array((await readFile(path)).buffer).map(Math.abs);
    const nEff = [numbers.slice(0, 48), numbers.slice(48, 80)].map(
      (own) => own.reduce((a, b) => a + b, 0) ** 2 / own.reduce((a, b) => a + b * b, 0),
    );
    assert.deepEqual(uploaded.counts, nEff.map(Math.floor));
  });

  test('small families are decided on together, which is said', async () => {
    await using small = await writeMlp([20, 6, 5, 4, 3], 50);
    await using pruned = await pruneFiles(small.path, CHANNELS);
    const warning = pruned.report.verdict.warnings.find(({ code }) => code === 'families_pooled');
    assert.match(warning?.text ?? '', /fc0\.weight, fc1\.weight, fc2\.weight\.$/);
  });

  test('numbers that are not finite are refused by the data and the weight', async () => {
    const calibration = { ...mlp.samples, inputs: [{ ...mlp.samples.inputs[0], offset: 1 }] };
    await assert.rejects(prune({ criterion: 'variance' }, { calibration }), {
      code: 'non_finite_activation',
      message:
        /^calibration data: fc\d\.weight: the input of its layer .* has NaN, infinite or too large numbers/,
    });
  });
});

describe('repairs of a model without some of its structures', () => {
  const recipe = { criterion: 'random', seed: 7, budget: { sparsity: 0.4 } };
  const evaluationOf = () => ({ evaluation: mlp.samples });

  test('one that helps is kept, and changes nothing but numbers', async () => {
    await using plain = await prune(recipe, evaluationOf());
    await using repaired = await prune(
      { ...recipe, repair: ['least_squares'] },
      { calibration: mlp.samples, ...evaluationOf() },
    );
    const [{ kept, n_repaired, left_out, loss_before, loss_after }] = repaired.report.repair;
    assert.deepEqual([kept, n_repaired, left_out], [true, 3, []]);
    assert.ok(Number(loss_after) < Number(loss_before));
    const [before, after] = [plain, repaired].map(({ report }) => Number(report.evaluation?.pruned.loss));
    assert.ok(after < before);
    assert.deepEqual(repaired.report.structures, plain.report.structures);
    const shapes = async ({ directory }: Pruned) =>
      (await inventoryOf(directory, ['mlp.onnx'])).tensors.map(({ name, shape }) => [name, ...shape]);
    assert.deepEqual(await shapes(repaired), await shapes(plain));
    assert.notEqual(await modelOf(repaired), await modelOf(plain));
  });

  test('one that hurts is undone, to the byte', async () => {
    await using plain = await prune({ ...recipe, budget: { sparsity: 0.1 } }, evaluationOf());
    const { inputs } = mlp.samples;
    const few = { nSamples: 2, inputs: [{ ...inputs[0], shape: [2, 20], offset: 80 * 20 }], labels: null };
    await using tried = await prune(
      { ...recipe, budget: { sparsity: 0.1 }, repair: ['least_squares'] },
      { calibration: few, ...evaluationOf() },
    );
    const [{ kept, problem, loss_after, loss_before }] = tried.report.repair;
    assert.deepEqual(
      [kept, problem],
      [false, 'the model is no better with it'],
      `${loss_before} ${loss_after}`,
    );
    assert.equal(await modelOf(tried), await modelOf(plain));
    assert.equal(tried.report.evaluation?.pruned.loss, plain.report.evaluation?.pruned.loss);
  });
});
