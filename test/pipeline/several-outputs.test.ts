import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { PromiseTest } from '../../src/pipeline/promise-test.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { renderReport } from '../../src/report/html/page.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import type { Comparison, Evaluator } from '../../src/runtime/evaluation.ts';
import type { OutputRisk } from '../../src/runtime/farthest-outputs.ts';
import { node, value } from '../models/build-model.ts';
import { FEATURES, type Head, headedParts } from '../models/headed-models.ts';
import { weights, writeModel } from '../models/runtime-model.ts';
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
    for (const target of [
      { max_relative_l2: 0.3 },
      { max_disagreement: 0.2 },
      { max_kl: 0.5 },
      { max_cosine_distance: 0.05 },
    ]) {
      await using found = await prune(detector, { target, scope: 'layer' });
      const { search, outputs = [], metric_names } = figuresOf(found.report);
      assert.ok(search?.met && found.report.total.sparsity > 0, JSON.stringify(target));
      assert.equal(outputs.length, 2);
      for (const { relative_l2, top1_agreement, kl, cosine_distance } of outputs) {
        if (target.max_relative_l2 !== undefined) assert.ok(Number(relative_l2) <= 0.3);
        if (target.max_disagreement !== undefined) assert.ok(1 - Number(top1_agreement) <= 0.2);
        if (target.max_kl !== undefined) assert.ok(Number(kl) <= 0.5);
        if (target.max_cosine_distance !== undefined) assert.ok(Number(cosine_distance) <= 0.05);
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

describe('a target of embeddings', () => {
  const [TOKENS, WIDTH, SAMPLES] = [3, 8, 300];
  const matrix = [...gaussians(FEATURES * WIDTH, 5)];
  const x = gaussians(SAMPLES * TOKENS * FEATURES, 6);
  let directory: string;
  let evaluation: SampleSet;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-embeddings-'));
    const input = await writeArray(directory, 'x', 'float32', [SAMPLES, TOKENS, FEATURES], x);
    evaluation = { nSamples: SAMPLES, inputs: [{ ...input, name: 'x' }], labels: null };
  });
  after(() => rm(directory, { recursive: true }));

  const encoder = (name: string, units: readonly number[]) =>
    writeModel(directory, name, {
      inputs: [value('x', ['batch', TOKENS, FEATURES])],
      nodes: [
        node('MatMul', ['x', 'w'], ['last_hidden_state']),
        node('ReduceMean', ['last_hidden_state'], ['pooler_output'], { axes: [1], keepdims: 0 }),
      ],
      initializers: [weights('w', [FEATURES, WIDTH], units)],
      outputs: [
        value('last_hidden_state', ['batch', TOKENS, WIDTH]),
        value('pooler_output', ['batch', WIDTH]),
      ],
    });

  test('bounds the mean over samples of each vector’s distance', async () => {
    const path = await encoder('encoder', matrix);
    await using pruned = await pruneFiles(path, { target: { max_cosine_distance: 0.03 } }, { evaluation });
    const { search, outputs = [], pruned: figures } = pruned.report.evaluation ?? assert.fail();
    assert.ok(search?.met && pruned.report.total.sparsity > 0);
    const written = await readFile(join(pruned.directory, 'encoder.onnx'));
    const [{ rawData }] = fromBinary(ModelProtoSchema, written).graph?.initializer ?? [];
    const kept = new Float32Array(Uint8Array.from(rawData).buffer);
    const { second } = splitSamples(SAMPLES, 1, 1 / 2, 0) ?? assert.fail();
    const expected = ['tokens', 'pooled'].map((kind) => {
      const distances = Array.from(second, (sample) => {
        const [dense, own] = [matrix, kept].map((by) => embed(sample, by));
        const vectors = kind === 'tokens' ? dense.map((_, token) => token) : [null];
        const each = vectors.map((token) => {
          const [a, b] = [dense, own].map((all) => (token === null ? meanOf(all) : all[token]));
          return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
        });
        return each.reduce((sum, distance) => sum + distance, 0) / each.length;
      });
      return distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    });
    for (const [i, { cosine_distance }] of outputs.entries())
      assert.ok(
        Math.abs(Number(cosine_distance) / expected[i] - 1) < 1e-4,
        `${cosine_distance} ${expected[i]}`,
      );
    assert.equal(
      figures.cosine_distance,
      Math.max(...outputs.map((output) => Number(output.cosine_distance))),
    );
    assert.ok(Number(figures.cosine_distance) <= 0.03);
    assert.ok(Number(figures.cosine_distance_standard_error) > 0);
  });

  test('is promised by bets on a distance of 2 at most, with as many samples as they take', async () => {
    const path = await encoder('promised', matrix);
    const target = { max_cosine_distance: 0.1, confidence: 0.9 };
    await using pruned = await pruneFiles(path, { target }, { evaluation });
    const { search } = pruned.report.evaluation ?? assert.fail();
    const { test: by, counted_up_to, certified } = search?.promise ?? assert.fail();
    assert.deepEqual([by, counted_up_to, certified, search?.met], ['mixture_of_bets', 2, 0.1, true]);
    assert.match(pruned.report.verdict.text, /a cosine distance of 0\.1 at most[,;.)]/);
    const strict = { max_cosine_distance: 0.001, confidence: 0.9 };
    await assert.rejects(pruneFiles(path, { target: strict }, { evaluation }), /needs at least \d+ samples/);
  });

  test('needs vectors', async () => {
    const path = await writeModel(directory, 'number', headedParts([{ ...NUMBER, name: 'price' }]));
    const input = await writeArray(
      directory,
      'n',
      'float32',
      [SAMPLES, FEATURES],
      x.subarray(0, SAMPLES * FEATURES),
    );
    const data = { nSamples: SAMPLES, inputs: [{ ...input, name: 'x' }], labels: null };
    await assert.rejects(
      pruneFiles(path, { target: { max_cosine_distance: 0.1 } }, { evaluation: data }),
      /max_cosine_distance needs vectors: .* 'price' has numbers that stand alone/,
    );
  });

  const NUMBER = { kind: 'number', numbers: [...gaussians(FEATURES, 8)] } as const;

  function embed(sample: number, by: ArrayLike<number>): number[][] {
    return Array.from({ length: TOKENS }, (_, token) =>
      Array.from({ length: WIDTH }, (_, unit) => {
        const from = (sample * TOKENS + token) * FEATURES;
        return dot(
          x.subarray(from, from + FEATURES),
          Array.from({ length: FEATURES }, (_, feature) => by[feature * WIDTH + unit]),
        );
      }),
    );
  }

  function meanOf(vectors: readonly number[][]): number[] {
    return vectors[0].map((_, unit) => vectors.reduce((sum, each) => sum + each[unit], 0) / vectors.length);
  }

  function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
    return Array.from(a, (each, i) => each * b[i]).reduce((sum, each) => sum + each, 0);
  }
});
