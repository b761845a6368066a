import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { countMacs } from '../../src/runtime/count-macs.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';
import { encode, node } from '../models/build-model.ts';
import { gaussians } from '../models/small-model.ts';
import { build, NEVER } from '../models/traced-model.ts';
import { writeArray } from '../runtime/samples.ts';
import { random } from '../structure/cases/rule-case.ts';
import { pruneFiles } from './prune-files.ts';

const CHANNELS = { granularity: 'channel', criterion: 'l2_norm', round_to: 1 };
const WIDTHS = [20, 64, 48, 5];
const WEIGHTS = 20 * 64 + 64 * 48 + 48 * 5;
const PARAMETERS = WEIGHTS + 64 + 48;

/** A perceptron. */
async function write(t: TestContext, batch: number | string = 'batch'): Promise<string> {
  const path = join(await testFolder(t), 'model.onnx');
  const model = build({
    inputs: [['x', [batch, WIDTHS[0]]]],
    nodes: [
      node('Gemm', ['x', 'w1', 'b1'], ['h1']),
      node('Relu', ['h1'], ['r1']),
      node('Gemm', ['r1', 'w2', 'b2'], ['h2']),
      node('Relu', ['h2'], ['r2']),
      node('MatMul', ['r2', 'w3'], ['y']),
    ],
    initializers: [
      ...[random('w1', [20, 64]), random('b1', [64]), random('w2', [64, 48]), random('b2', [48])],
      random('w3', [48, 5]),
    ],
  });
  await writeFile(path, encode(model));
  return path;
}

async function samples(t: TestContext): Promise<SampleSet> {
  const inputs = [await writeArray(await testFolder(t), 'x', 'float32', [40, 20], gaussians(800, 3))];
  return { nSamples: 40, inputs, labels: null };
}

type SizeTarget = NonNullable<Report['size_target']>;

function sizeTargetOf(report: Report): SizeTarget {
  assert.ok(reportSchema.safeParse(report).success);
  assert.ok(report.size_target);
  return report.size_target;
}

const isNear = ({ reached, limit }: SizeTarget) => reached <= limit && reached >= 0.98 * limit;

describe('a job with a target of size', () => {
  for (const scope of ['global', 'layer', 'row'])
    test(`of parameters zeroes the fewest weights, scope ${scope}`, async (t) => {
      await using done = await pruneFiles(await write(t), { scope, target: { max_parameters: 2500 } });
      const target = sizeTargetOf(done.report);
      const { n, n_keep } = done.report.total;
      assert.deepEqual([n, target.reached], [WEIGHTS, PARAMETERS - WEIGHTS + n_keep]);
      assert.ok(isNear(target) && target.met, String(target.reached));
      assert.deepEqual([target.beta, done.summary.met], [target.largest, true]);
      assert.match(
        done.report.verdict.text,
        /^EMP at beta .*, the largest of \d+ tried whose model is within 2,500 parameters, /,
      );
    });

  test('of compressed bytes is met by zeros in place', async (t) => {
    const recipe = { target: { max_compressed_bytes: 9000 } };
    await using done = await pruneFiles(await write(t), recipe);
    const target = sizeTargetOf(done.report);
    const compressed = zstdCompressSync(await readFile(join(done.directory, 'model.onnx'))).length;
    assert.ok(isNear(target), String(target.reached));
    assert.equal(target.reached, done.report.sizes.pruned_zstd_bytes);
    assert.ok(Math.abs(compressed - target.reached) < 20);
  });

  for (const [name, limit] of [
    ['max_parameters', 2000],
    ['max_bytes', 9000],
    ['max_macs', 1900],
    ['max_compressed_bytes', 9000],
  ] as const)
    test(`of ${name} removes channels until the model is within it`, async (t) => {
      await using done = await pruneFiles(await write(t), { ...CHANNELS, target: { [name]: limit } });
      const target = sizeTargetOf(done.report);
      const model = await readStoredModel(done.directory, ['model.onnx']);
      const sizes = {
        max_parameters: model.inventory.nParameters,
        max_bytes: (await stat(join(done.directory, 'model.onnx'))).size,
        max_macs: (await countMacs({ model, runtime: RUNTIME, signal: NEVER }, null)).total,
        max_compressed_bytes: done.report.sizes.pruned_zstd_bytes,
      };
      assert.equal(target.reached, sizes[name]);
      // A channel of the wider layer takes 20 + 48 of these, of the other 64 + 5.
      assert.ok(target.met && limit - target.reached <= 0.05 * limit, String(target.reached));
      const larger = target.evaluations.filter(({ beta }) => beta > target.beta);
      assert.ok(larger.length > 0 && larger.every(({ size }) => size > limit));
    });

  test('that nothing reaches ends with the smallest model, and says so', async (t) => {
    await using done = await pruneFiles(await write(t), { ...CHANNELS, target: { max_macs: 10 } });
    const target = sizeTargetOf(done.report);
    assert.deepEqual([target.met, target.largest, done.summary.met], [false, null, false]);
    assert.equal(target.reached, Math.min(...target.evaluations.map(({ size }) => size)));
    const warning = done.report.verdict.warnings.find(({ code }) => code === 'target_not_met');
    assert.match(
      warning?.text ?? '',
      /^The model takes \d+, more than the 10 multiply-accumulates allowed, and no beta/,
    );
  });

  test('that the dense model is within keeps everything', async (t) => {
    await using done = await pruneFiles(await write(t), { target: { max_parameters: 1e6 } });
    assert.deepEqual([done.report.total.sparsity, sizeTargetOf(done.report).reached], [0, PARAMETERS]);
  });

  test('writes no model in a dry run, and tells what it would be', async (t) => {
    const recipe = { ...CHANNELS, dry_run: true, target: { max_bytes: 9000 } };
    await using done = await pruneFiles(await write(t), recipe);
    assert.equal(done.report.sizes.pruned_bytes, null);
    assert.ok(isNear(sizeTargetOf(done.report)));
  });

  test('is evaluated on all samples where there is no target of quality', async (t) => {
    const evaluation = await samples(t);
    await using done = await pruneFiles(await write(t), { target: { max_parameters: 2500 } }, { evaluation });
    assert.deepEqual([done.report.evaluation?.n_samples, done.report.evaluation?.search], [40, null]);
  });

  test('beside one of quality keeps both, or says which is missed', async (t) => {
    const [path, evaluation] = [await write(t), await samples(t)];
    const pruned = (max_parameters: number) =>
      pruneFiles(path, { target: { max_relative_l2: 0.2, max_parameters } }, { evaluation });
    await using both = await pruned(PARAMETERS);
    const quality = both.report.evaluation?.search;
    assert.ok(quality);
    const { met, beta, largest } = sizeTargetOf(both.report);
    assert.deepEqual([met, beta, both.summary.met], [true, quality.beta, quality.met]);
    assert.ok(largest !== null && largest >= beta);

    await using apart = await pruned(500);
    const target = sizeTargetOf(apart.report);
    assert.equal(apart.report.evaluation?.search?.beta, quality.beta);
    assert.deepEqual([target.met, target.beta, apart.summary.met], [false, quality.beta, false]);
    assert.ok(target.largest !== null && target.largest < target.beta);
    const texts = apart.report.verdict.warnings.filter(({ code }) => code === 'target_not_met');
    assert.ok(
      texts.some(({ text }) =>
        /more than the 500 parameters allowed: the largest beta .* has to give way/.test(text),
      ),
    );
  });

  test('of multiply-accumulates that cannot be counted is refused with the reason', async (t) => {
    const path = join(await testFolder(t), 'model.onnx');
    const nodes = [
      node('MatMul', ['x', 'w'], ['h']),
      node('Relu', ['h'], ['r']),
      node('MatMul', ['r', 'v'], ['y']),
    ];
    const initializers = [random('w', [6, 32]), random('v', [32, 3])];
    await writeFile(path, encode(build({ inputs: [['x', ['batch', 'length', 6]]], nodes, initializers })));
    await assert.rejects(pruneFiles(path, { ...CHANNELS, target: { max_macs: 10 } }), {
      code: 'invalid_request',
      message:
        'max_macs needs multiply-accumulates that can be counted: axis 1 of input "x" has no fixed size, and there are no data in use to give it one: evaluation data do',
    });
  });
});

describe('a job with a target of speed', () => {
  async function timed(t: TestContext, target: object, own: object = {}) {
    const evaluation = await samples(t);
    const given = { evaluation, threads: 2 };
    await using done = await pruneFiles(await write(t), { ...CHANNELS, ...own, target }, given);
    assert.ok(reportSchema.safeParse(done.report).success);
    const { speed_target: speed } = done.report.evaluation ?? {};
    assert.ok(speed);
    for (const { low, reached, high } of [speed, ...speed.evaluations])
      assert.ok(0 < low && low <= reached && reached <= high);
    assert.ok(speed.rounds >= 15 && (speed.other_cores ?? 0) >= 0);
    assert.deepEqual([speed.threads, speed.execution_provider], [2, 'cpu']);
    return { ...done, speed };
  }

  test('that the dense model keeps is met, with everything kept', async (t) => {
    const { report, speed, summary } = await timed(t, { max_latency_ms: 1e9, batch_size: 3 });
    assert.deepEqual([speed.met, summary.met, report.total.sparsity], [true, true, 0]);
    assert.deepEqual([speed.batch_size, speed.beta, speed.largest], [3, speed.largest, speed.beta]);
    const { latency_ms } = report.evaluation?.pruned ?? {};
    assert.deepEqual([speed.reached, report.evaluation?.batch_size], [latency_ms, 3]);
    assert.match(
      report.verdict.text,
      /the search measured to take .* ms or less for a batch of 3, removes none .*; it is measured .* \(95 % interval .* runs, 2 threads, cpu; /,
    );
  });

  test('that nothing reaches ends with the smallest model, and says so, beside a target of quality too', async (t) => {
    const { speed, summary, report } = await timed(t, { min_speedup: 1e9 }, { dry_run: true });
    assert.deepEqual([speed.met, speed.largest, summary.met], [false, null, false]);
    assert.equal(speed.beta, Math.min(...speed.evaluations.map(({ beta }) => beta)));
    assert.equal(speed.batch_size, 40);
    const { text } = report.verdict.warnings.find(({ code }) => code === 'target_not_met') ?? {};
    assert.match(
      text ?? '',
      /^The model was asked to be 1000000000 x as fast .*, and measured .*, and no beta that was tried is fast enough/,
    );
    const both = await timed(t, { min_speedup: 1e9, max_relative_l2: 10 });
    const { search } = both.report.evaluation ?? {};
    assert.deepEqual([search?.met, both.speed.met, both.summary.met], [true, false, false]);
    assert.equal(both.speed.beta, search?.beta);
  });

  test('refuses a batch that the data or the model do not have', async (t) => {
    await assert.rejects(timed(t, { max_latency_ms: 5, batch_size: 41 }), {
      code: 'invalid_request',
      message:
        'target.batch_size is 41, and there are 40 evaluation samples to time it on: give more samples, or a smaller batch',
    });
    const [path, evaluation] = [await write(t, 8), await samples(t)];
    const recipe = { ...CHANNELS, target: { max_latency_ms: 5, batch_size: 4 } };
    await assert.rejects(pruneFiles(path, recipe, { evaluation }), {
      code: 'invalid_request',
      message: 'target.batch_size is 4, and the model takes 8 at a time: give 8, or none',
    });
  });
});
