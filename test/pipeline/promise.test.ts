import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { EmpError } from '../../src/core/errors.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { PromiseTest } from '../../src/pipeline/promise-test.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import type { Comparison, Evaluator } from '../../src/runtime/evaluation.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { writeArray, writePart } from '../runtime/samples.ts';
import { pruneFiles, sha256Of } from './prune-files.ts';

const N = 1200;

const searchOf = ({ evaluation }: Report) => evaluation?.search ?? assert.fail();

describe('a target on samples that no choice saw', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  before(async () => {
    mlp = await writeMlp([20, 48, 32, 5], N);
  });
  after(() => mlp[Symbol.asyncDispose]());

  const pruneMlp = (recipe: object, evaluation: SampleSet = mlp.samples, others: object = {}) =>
    pruneFiles(mlp.path, recipe, { evaluation, ...others });
  const halves = (seed = 0) => splitSamples(N, 1, 1 / 2, seed) ?? assert.fail();

  /** The evaluation data with other labels at some places. */
  const relabeled = async (
    name: string,
    places: Iterable<number>,
    change = (id: bigint) => (id + 1n) % 5n,
  ) => {
    const { labels } = mlp.samples;
    const bytes = await readFile(labels?.path ?? '');
    const ids = new BigInt64Array(bytes.buffer, bytes.byteOffset, N).slice();
    for (const place of places) ids[place] = change(ids[place]);
    return { ...mlp.samples, labels: await writeArray(mlp.directory, name, 'int64', [N], ids) };
  };

  for (const target of [
    { max_accuracy_drop: 0.05 },
    { max_accuracy_drop: 0.05, confidence: 0.9 },
    { max_disagreement: 0.1, confidence: 0.9 },
    { max_loss_increase: 0.2, confidence: 0.9 },
    { max_relative_l2: 0.2, confidence: 0.9 },
    { max_kl: 0.05, confidence: 0.9 },
    { max_cosine_distance: 0.1, confidence: 0.9 },
  ]) {
    test(`${JSON.stringify(target)}: figures are those of the half that is reported`, async () => {
      await using pruned = await pruneMlp({ target, seed: 5 });
      assert.ok(reportSchema.safeParse(pruned.report).success);
      const { second } = halves(5);
      const search = searchOf(pruned.report);
      assert.deepEqual([search.seed, search.n_samples], [5, N - second.length]);
      assert.equal(pruned.report.evaluation?.n_samples, second.length);
      const alone = await writePart(mlp.samples, second);
      const labels = 'max_accuracy_drop' in target || 'max_loss_increase' in target ? alone.labels : null;
      await using direct = await pruneMlp({ beta: search.beta }, { ...alone, labels });
      const [here, there] = [pruned, direct].map(({ report }) => report.evaluation?.pruned ?? assert.fail());
      const compared = labels
        ? (['loss', 'accuracy'] as const)
        : (['relative_l2', 'top1_agreement'] as const);
      for (const metric of compared) assert.equal(here[metric], there[metric]);
      assert.equal(
        await sha256Of(`${pruned.directory}/mlp.onnx`),
        await sha256Of(`${direct.directory}/mlp.onnx`),
      );
    });
  }

  for (const target of [{ max_accuracy_drop: 0.05 }, { max_loss_increase: 0.2 }, { max_relative_l2: 0.2 }]) {
    test(`${JSON.stringify(target)}: a beta that is given is tested as the same one that was searched`, async () => {
      await using searched = await pruneMlp({ target, seed: 3 });
      const { beta, met } = searchOf(searched.report);
      await using given = await pruneMlp({ target, seed: 3, beta });
      const [there, here] = [searched, given].map(({ report }) => report.evaluation ?? assert.fail());
      const { latency_ms: _, latency_extended_ms: __, ...figures } = there.pruned;
      assert.deepEqual({ ...here.pruned, ...figures }, here.pruned);
      assert.deepEqual([here.search?.met, here.search?.given, here.search?.beta], [met, true, beta]);
      assert.deepEqual(
        here.search?.evaluations.map((point) => point.beta),
        [beta],
      );
      assert.equal(
        await sha256Of(`${given.directory}/mlp.onnx`),
        await sha256Of(`${searched.directory}/mlp.onnx`),
      );
    });
  }

  test('a beta that is given and is beyond the target is written all the same, and said to be', async () => {
    await using pruned = await pruneMlp({ target: { max_accuracy_drop: 0.01 }, beta: 0.05 });
    const search = searchOf(pruned.report);
    assert.deepEqual([search.met, search.found, search.beta], [false, false, 0.05]);
    const { text, warnings } = pruned.report.verdict;
    assert.match(text, /EMP at beta 0\.05, which does not stay within an accuracy drop of 1 point/);
    assert.ok(warnings.some(({ code }) => code === 'target_not_met'));
  });

  test('a promise of a beta that is given ends at the last rung up to it that is shown', async () => {
    const target = { max_accuracy_drop: 0.05, confidence: 0.9 };
    await using pruned = await pruneMlp({ target, beta: 1.4 });
    const { beta, met, promise } = searchOf(pruned.report);
    const passing = promise.ladder.filter(({ p_value }) => p_value <= 0.1).map((rung) => rung.beta);
    assert.ok(met && beta >= 0.2);
    assert.equal(beta, passing.at(-1));
  });

  test('what is chosen does not depend on the labels of the half that is reported', async () => {
    const target = { max_accuracy_drop: 0.05 };
    await using there = await pruneMlp({ target });
    const { second } = halves();
    const changed = await relabeled('reported', second.subarray(0, 100));
    await using here = await pruneMlp({ target }, changed);
    assert.deepEqual(searchOf(here.report).evaluations, searchOf(there.report).evaluations);
    assert.equal(searchOf(here.report).beta, searchOf(there.report).beta);
    assert.notEqual(here.report.evaluation?.dense.loss, there.report.evaluation?.dense.loss);
    const { first } = halves();
    await using other = await pruneMlp({ target }, await relabeled('searched', first.subarray(0, 100)));
    assert.equal(other.report.evaluation?.dense.loss, there.report.evaluation?.dense.loss);
  });

  test('a promise is the last of a ladder that passes, and holds for its limit', async () => {
    const target = { max_accuracy_drop: 0.04, confidence: 0.95 };
    await using promised = await pruneMlp({ target });
    const { met, beta, promise } = searchOf(promised.report);
    const { dense, pruned } = promised.report.evaluation ?? assert.fail();
    const drop = Number(dense.accuracy) - Number(pruned.accuracy);
    assert.ok(met && promise.test === 'exact_paired' && promise.p_value <= 0.05 + 1e-12);
    assert.ok(promise.certified === 0.04 && drop <= 0.04);
    assert.equal(promise.n_needed, 74);
    const { ladder } = promise;
    assert.ok(ladder.every(({ sparsity }, i) => i === 0 || sparsity > ladder[i - 1].sparsity));
    const passed = ladder.filter(({ p_value }) => p_value <= 0.05 + 1e-12);
    assert.equal(passed.at(-1)?.beta, beta);
    assert.ok(ladder.length - passed.length <= 1, 'none is tested after the first that fails');
    await using estimated = await pruneMlp({ target: { max_accuracy_drop: 0.04 } });
    assert.deepEqual(searchOf(estimated.report).promise.ladder, []);
    assert.equal(searchOf(estimated.report).promise.certified, null);
  });

  test('a promise that figures do not show is not met, and the mildest rung is the model', async () => {
    const target = { max_relative_l2: 0.0001, confidence: 0.9999 };
    await using pruned = await pruneMlp({ target, criterion: 'random' }, mlp.samples);
    const { met, beta, promise } = searchOf(pruned.report);
    assert.deepEqual(
      [met, promise.certified, promise.ladder.length, promise.ladder[0].beta],
      [false, null, 1, beta],
    );
    assert.match(
      pruned.report.verdict.warnings.find(({ code }) => code === 'target_not_met')?.text ?? '',
      /^600 samples that no choice saw do not show/,
    );
  });

  test('too few samples are refused, with how many would do', async () => {
    const few = await writePart(
      mlp.samples,
      Uint32Array.from({ length: 400 }, (_, i) => i),
    );
    await assert.rejects(
      pruneMlp({ target: { max_accuracy_drop: 0.01, confidence: 0.95 } }, few),
      (error: EmpError) =>
        error.code === 'invalid_request' &&
        /at least 299 samples for confidence 0\.95 .* there are 200 .* give 598/.test(error.message) &&
        error.findings.some(({ path }) => path === '/recipe/target/max_accuracy_drop'),
    );
    await assert.rejects(
      pruneMlp({ target: { max_loss_increase: 0.001, confidence: 0.95 } }, few),
      /max_loss_increase needs at least \d{4,} samples/,
    );
    await assert.rejects(
      pruneMlp({ target: { max_disagreement: 0, confidence: 0.95 } }),
      ({ message, findings }: EmpError) => {
        assert.match(
          message,
          /is a limit that no number of samples can show with confidence 0\.95: give a larger/,
        );
        return findings.every((finding) => !finding.message.includes('too few'));
      },
    );
    const one = await writePart(mlp.samples, Uint32Array.of(3));
    await assert.rejects(pruneMlp({ target: { max_accuracy_drop: 0.5 } }, one), /has 1 samples: a target is/);
  });

  test('what a report advises for a promise is accepted, and fewer samples are refused', async () => {
    const partOf = (n: number) =>
      writePart(
        mlp.samples,
        Uint32Array.from({ length: n }, (_, i) => i),
      );
    const target = { max_accuracy_drop: 0.05 };
    const promised = { ...target, confidence: 0.95 };
    await using estimated = await pruneMlp({ target, beta: 1.4 }, await partOf(100));
    const { decision } = estimated.report;
    assert.ok(['estimated', 'within'].includes(decision.status), decision.sentence);
    const advice = decision.next.find(({ recipe }) => recipe !== null);
    assert.deepEqual(advice?.recipe, { target: promised });
    const [, atLeast] = /fewer than (\d+) are refused/.exec(advice?.text ?? '') ?? assert.fail(advice?.text);
    assert.match(advice?.request ?? '', /with more evaluation samples$/);
    await assert.rejects(pruneMlp({ target: promised }, await partOf(Number(atLeast) - 2)), /at least/);
    await using accepted = await pruneMlp({ target: promised }, await partOf(Number(atLeast)));
    assert.ok(searchOf(accepted.report).promise.ladder.length > 0);
  });

  test('a half without a label that counts is refused', async () => {
    const { second } = halves();
    const none = await relabeled('none', second, () => -100n);
    await assert.rejects(
      pruneMlp({ target: { max_accuracy_drop: 0.1 } }, none),
      (error: EmpError) =>
        error.code === 'invalid_labels' &&
        /in 600 samples alone, and none of them in one half/.test(error.message),
    );
  });

  test('of few labels that count so many are asked for, not so many samples', async () => {
    const uncounted = Array.from({ length: N }, (_, place) => place).filter((place) => place % 10 !== 1);
    const few = await relabeled('few', uncounted, () => -100n);
    await assert.rejects(
      pruneMlp({ target: { max_accuracy_drop: 0.02, confidence: 0.95 } }, few),
      /needs at least 149 samples .* there are (5\d|6\d) that/,
    );
  });

  test('losses that are cut do not hide that the limit is exceeded', () => {
    const n = 1000;
    const cost = Float64Array.from({ length: n }, (_, i) => (i % 100 === 0 ? 20 : -0.05));
    const risk = { cost, weight: new Float64Array(n).fill(1), positionsPerSample: 1 };
    const seen = { risks: { loss: [risk] } } as unknown as Comparison;
    const choosing = { lossKind: 'cross_entropy' } as Evaluator;
    const promise = new PromiseTest({ max_loss_increase: 0.1, confidence: 0.95 }, choosing, seen, n);
    assert.ok(promise.judge(seen).p_value < 0.05, 'cut at one nat');
    assert.equal(promise.judge(seen).isShown, false);
  });

  test('a sample changes at as many positions as it has predictions, whatever its labels', () => {
    const weight = new Float64Array(300).fill(80);
    const risk = { cost: new Float64Array(300), weight, positionsPerSample: 80 };
    const seen = { risks: { top1_agreement: [risk] } } as unknown as Comparison;
    const choosing = { positionsPerSample: 2 } as Evaluator;
    const {
      tests: [by],
    } = new PromiseTest({ max_disagreement: 0.1, confidence: 0.95 }, choosing, seen, 300);
    assert.ok(by.name === 'mixture_of_bets' && by.ceiling === 80);
  });

  test('a search goes on where min_density stops it', async () => {
    for (const min_density of [0.7, 0.75]) {
      await using pruned = await pruneMlp({ min_density, target: { max_disagreement: 0.2 } });
      const { found, evaluations } = searchOf(pruned.report);
      assert.ok(
        found && evaluations.every(({ beta }) => beta < 10),
        evaluations.map(({ beta }) => beta).join(),
      );
      assert.ok(pruned.report.total.sparsity > 0.1);
    }
  });

  test('the same for 1 and 3 threads', async () => {
    const reports = new Set<string>();
    for (const threads of [1, 3]) {
      const target = { max_loss_increase: 0.2, confidence: 0.9 };
      await using pruned = await pruneMlp({ target }, mlp.samples, { threads });
      reports.add(JSON.stringify([pruned.report.evaluation?.search, pruned.artifacts[0]]));
    }
    assert.equal(reports.size, 1);
  });
});
