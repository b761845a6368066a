import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { PromiseTest } from '../../src/pipeline/promise-test.ts';
import { renderReport } from '../../src/report/html/page.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import type { Comparison, Evaluator } from '../../src/runtime/evaluation.ts';
import type { OutputRisk } from '../../src/runtime/farthest-outputs.ts';
import { FEATURES, type Head, headedParts } from '../models/headed-models.ts';
import { writeModel } from '../models/runtime-model.ts';
import { gaussians } from '../models/small-model.ts';
import { writeArray } from '../runtime/samples.ts';
import { pruneFiles } from './prune-files.ts';

const N = 400;
/** Small enough that every weight of the scores goes before one of the boxes. */
const FAINT = 1e-4;

describe('a target of a detector, whose scores are faint beside its boxes', () => {
  const boxes: Head = { name: 'boxes', kind: 'boxes', numbers: [...gaussians(FEATURES * 12, 1)] };
  const scores: Head = {
    ...{ name: 'scores', kind: 'logits' },
    numbers: [...gaussians(FEATURES * 5, 2)].map((number) => number * FAINT),
  };
  let directory: string;
  let evaluation: SampleSet;
  let [detector, boxesAlone] = ['', ''];
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-detector-'));
    const input = await writeArray(directory, 'x', 'float32', [N, FEATURES], gaussians(N * FEATURES, 3));
    evaluation = { nSamples: N, inputs: [{ ...input, name: 'x' }], labels: null };
    detector = await writeModel(directory, 'detector', headedParts([boxes, scores]));
    // Its scores are computed, and are no output.
    boxesAlone = await writeModel(directory, 'boxes', {
      ...headedParts([boxes, scores]),
      outputs: headedParts([boxes]).outputs,
    });
  });
  after(() => rm(directory, { recursive: true }));

  const prune = (path: string, recipe: object) =>
    pruneFiles(path, { scope: 'global', ...recipe }, { evaluation });
  const figuresOf = ({ evaluation }: Report) => evaluation ?? assert.fail();

  test('is missed by a model whose boxes alone keep it', async () => {
    const recipe = { beta: 1.2, target: { max_relative_l2: 0.3 } };
    await using alone = await prune(boxesAlone, recipe);
    assert.ok(alone.report.evaluation?.search?.met);
    await using both = await prune(detector, recipe);
    const { search, outputs, pruned } = figuresOf(both.report);
    assert.equal(both.report.total.n_keep, alone.report.total.n_keep);
    assert.deepEqual([search?.met, search?.found], [false, false]);
    assert.deepEqual(
      outputs?.map(({ name, relative_l2 }) => [name, relative_l2]),
      [
        ['boxes', alone.report.evaluation?.pruned.relative_l2],
        ['scores', 1],
      ],
    );
    assert.equal(pruned.relative_l2, 1);
  });

  test('is kept in every output by the model that is searched', async () => {
    for (const target of [{ max_relative_l2: 0.3 }, { max_disagreement: 0.2 }, { max_kl: 0.5 }]) {
      await using found = await prune(detector, { target, scope: 'layer' });
      const { search, outputs = [], metric_names } = figuresOf(found.report);
      assert.ok(search?.met && found.report.total.sparsity > 0, JSON.stringify(target));
      assert.equal(outputs.length, 2);
      for (const { relative_l2, top1_agreement, kl } of outputs) {
        if (target.max_relative_l2 !== undefined) assert.ok(Number(relative_l2) <= 0.3);
        if (target.max_disagreement !== undefined) assert.ok(1 - Number(top1_agreement) <= 0.2);
        if (target.max_kl !== undefined) assert.ok(Number(kl) <= 0.5);
      }
      assert.equal(metric_names.includes('kl'), target.max_kl !== undefined);
    }
  });

  test('is promised of every output', async () => {
    const recipe = { target: { max_relative_l2: 0.5, confidence: 0.9 }, scope: 'layer' };
    await using promised = await prune(detector, recipe);
    const { search, outputs = [] } = figuresOf(promised.report);
    assert.ok(search?.met && Number(search.promise.certified) === 0.5);
    assert.ok(promised.report.total.sparsity > 0);
    assert.ok(outputs.every(({ relative_l2 }) => Number(relative_l2) <= 0.5));
    await using missed = await prune(detector, { ...recipe, scope: 'global', beta: 1.2 });
    await using alone = await prune(boxesAlone, { ...recipe, scope: 'global', beta: 1.2 });
    assert.ok(missed.report.total.sparsity < alone.report.total.sparsity);
    assert.ok(alone.report.evaluation?.search?.met);
  });

  test('is said by output in the report and on its page; one output has no list', async () => {
    await using both = await prune(detector, { beta: 1.2 });
    assert.ok(reportSchema.safeParse(both.report).success);
    const page = renderReport(both.report).replaceAll('\u00a0', ' ');
    assert.match(page, /Drift by output.*<code>boxes<\/code>.*<code>scores<\/code>/s);
    assert.match(both.report.verdict.text, /of 2 outputs the worst/);
    await using alone = await prune(boxesAlone, { beta: 1.2 });
    assert.ok(!('outputs' in figuresOf(alone.report)));
    assert.doesNotMatch(renderReport(alone.report), /Drift by output/);
  });
});

describe('a promise of several outputs', () => {
  const anyRisk = fc
    .array(
      fc.tuple(fc.double({ min: 0, max: 0.4, noNaN: true }), fc.double({ min: 0.5, max: 2, noNaN: true })),
      {
        ...{ minLength: 60, maxLength: 60 },
      },
    )
    .map(
      (samples): OutputRisk => ({
        cost: Float64Array.from(samples, ([share, weight]) => share * weight),
        weight: Float64Array.from(samples, ([, weight]) => weight),
        positionsPerSample: 1,
      }),
    );

  test('is shown where each is, by the largest of their p-values', () => {
    const choosing = { lossKind: null } as Evaluator;
    const seenOf = (risks: readonly OutputRisk[]) =>
      ({ risks: { relative_l2: risks } }) as unknown as Comparison;
    fc.assert(
      fc.property(
        fc.array(anyRisk, { minLength: 1, maxLength: 3 }),
        fc.double({ min: 0.3, max: 0.8, noNaN: true }),
        (risks, limit) => {
          const judge = (of: readonly OutputRisk[]) => {
            const target = { max_relative_l2: limit, confidence: 0.8 };
            const promise = new PromiseTest(target, choosing, seenOf(of), 60);
            return { ...promise.judge(seenOf(of)), nNeeded: promise.nNeeded };
          };
          const [all, each] = [judge(risks), risks.map((risk) => judge([risk]))];
          assert.equal(all.p_value, Math.max(...each.map(({ p_value }) => p_value)));
          assert.equal(
            all.isShown,
            each.every(({ isShown }) => isShown),
          );
          assert.equal(all.nNeeded, Math.max(...each.map(({ nNeeded }) => nNeeded)));
          assert.ok(each.some(({ test }) => JSON.stringify(test) === JSON.stringify(all.test)));
        },
      ),
      { numRuns: 30 },
    );
  });
});
