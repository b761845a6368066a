import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { type Comparison, Evaluator } from '../../src/runtime/evaluation.ts';
import { integers, node, value } from '../models/build-model.ts';
import { FEATURES, HEAD_KINDS, type Head, headedParts } from '../models/headed-models.ts';
import { storeModel, weights } from '../models/runtime-model.ts';
import { gaussians } from '../models/small-model.ts';
import { writeArray } from './samples.ts';

const N = 70;
const KINDS = Object.keys(HEAD_KINDS) as Head['kind'][];

let directory: string;
let samples: SampleSet;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-outputs-'));
  const input = await writeArray(directory, 'x', 'float32', [N, FEATURES], gaussians(N * FEATURES, 1));
  samples = { nSamples: N, inputs: [input], labels: null };
});
after(() => rm(directory, { recursive: true }));

async function compare(
  dense: StoredModel,
  pruned: StoredModel,
  data: SampleSet = samples,
): Promise<Comparison & { output: string; n: number }> {
  await using evaluator = await Evaluator.open({
    ...{
      model: dense,
      samples: data,
      scratchDirectory: directory,
      runtime: { providers: ['cpu'], threads: 1 },
    },
    ...{ signal: new AbortController().signal, onSamples() {}, wantsDrift: true },
    ...{ wantsDivergence: true, wantsDirections: true },
  });
  const compared = await evaluator.compare(pruned);
  return { ...compared, output: evaluator.output, n: evaluator.compared.length };
}

/** The dense model of some heads, and one of which the weights nearest to 0 have gone. */
async function pairOf(heads: readonly Head[], name: string): Promise<[StoredModel, StoredModel]> {
  const pruned = heads.map((head) => ({
    ...head,
    numbers: head.numbers.map((number) => (Math.abs(number) < 0.5 ? 0 : number)),
  }));
  return [
    await storeModel(directory, `${name}-dense`, headedParts(heads)),
    await storeModel(directory, `${name}-pruned`, headedParts(pruned)),
  ];
}

const headsOf = (kinds: readonly Head['kind'][], scales: readonly number[], seed: number): Head[] =>
  kinds.map((kind, i) => ({
    ...{ name: `out${i}`, kind },
    numbers: [...gaussians(FEATURES * HEAD_KINDS[kind].width, seed + i)].map((number) => number * scales[i]),
  }));

describe('the drift of a model with several outputs', () => {
  test('is of a constant model where numbers vanish, unless their predictions stay', async () => {
    const head = (kind: Head['kind'], scale: number) => headsOf([kind], [scale], 5);
    for (const [kind, isConstant] of [
      ['number', true],
      ['logits', false],
    ] as const) {
      const dense = await storeModel(directory, `${kind}-whole`, headedParts(head(kind, 1)));
      const faint = await storeModel(directory, `${kind}-faint`, headedParts(head(kind, 1e-4)));
      assert.equal((await compare(dense, faint)).isConstant, isConstant, kind);
    }
  });

  test('is each figure of the one that it is worst of, were every output alone', async () => {
    const anyHead = fc.tuple(fc.constantFrom(...KINDS), fc.constantFrom(0.4, 1, 3));
    const anyHeads = fc.tuple(
      fc.array(anyHead, { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 1, max: 1e6 }),
    );
    await fc.assert(
      fc.asyncProperty(anyHeads, async ([picked, seed]) => {
        const heads = headsOf(
          picked.map(([kind]) => kind),
          picked.map(([, scale]) => scale),
          seed,
        );
        const all = await compare(...(await pairOf(heads, 'all')));
        const alone: Comparison[] = [];
        for (const head of heads) alone.push(await compare(...(await pairOf([head], 'alone'))));
        const of = (metric: 'relative_l2' | 'cosine' | 'top1_agreement' | 'kl' | 'cosine_distance') =>
          alone.map(({ measurement }) => measurement[metric]).filter((figure) => figure !== null);
        const { relative_l2, cosine, top1_agreement, kl, cosine_distance } = all.measurement;
        // What has become 0 has no direction any more, which is worse than any.
        const isLost = alone.some(
          (each) => each.measurement.cosine === null && each.measurement.relative_l2 !== 0,
        );
        const leastCosine = isLost ? null : Math.min(...of('cosine'));
        const most = (figures: number[]) => (figures.length > 0 ? Math.max(...figures) : null);
        const least = (figures: number[]) => (figures.length > 0 ? Math.min(...figures) : null);
        assert.deepEqual(
          [relative_l2, cosine, top1_agreement, kl, cosine_distance],
          [
            most(of('relative_l2')),
            leastCosine,
            least(of('top1_agreement')),
            most(of('kl')),
            most(of('cosine_distance')),
          ],
        );
        assert.deepEqual(
          all.byOutput?.map(({ name, ...figures }) => figures),
          alone.map(({ measurement: { relative_l2, cosine, top1_agreement, kl, cosine_distance } }) => ({
            ...{ relative_l2, cosine, top1_agreement, kl, cosine_distance },
          })),
        );
        for (const metric of ['relative_l2', 'top1_agreement', 'kl', 'cosine_distance'] as const)
          assert.deepEqual(
            all.risks[metric],
            alone.flatMap(({ risks }) => risks[metric] ?? []),
          );
        const worst = alone.find(({ measurement }) => measurement.relative_l2 === relative_l2);
        assert.equal(
          all.measurement.relative_l2_standard_error,
          worst?.measurement.relative_l2_standard_error,
        );
      }),
      { numRuns: 12 },
    );
  });

  test('is not of integers, of what does not follow the samples, or of caches', async () => {
    const [{ numbers }] = headsOf(['logits'], [1], 7);
    const build = (name: string, scale: number) =>
      storeModel(directory, name, {
        inputs: [value('x', ['batch', FEATURES])],
        nodes: [
          node('Identity', ['anchor'], ['anchors']),
          node('MatMul', ['x', 'w'], ['scores']),
          node('ArgMax', ['scores'], ['ids'], { axis: 1, keepdims: 0 }),
          node('ReduceMean', ['scores'], ['mean'], { keepdims: 0 }),
          node('Mul', ['scores', 'scale'], ['present.0.key']),
          node('Mul', ['scores', 'scale'], ['scaled']),
        ],
        initializers: [
          weights('anchor', [3, 2], [1, 2, 3, 4, 5, 6]),
          weights('w', [FEATURES, HEAD_KINDS.logits.width], numbers),
          weights('scale', [1], [scale]),
        ],
        outputs: [
          value('anchors', [3, 2]),
          value('scores', ['batch', HEAD_KINDS.logits.width]),
          value('ids', ['batch'], 'INT64'),
          value('mean', []),
          value('present.0.key', ['batch', HEAD_KINDS.logits.width]),
          value('scaled', ['batch', HEAD_KINDS.logits.width]),
        ],
      });
    const { byOutput, measurement, output } = await compare(await build('a', 1), await build('b', 1.5));
    assert.equal(output, 'scores');
    assert.deepEqual(
      byOutput?.map(({ name }) => name),
      ['scores', 'scaled'],
    );
    assert.ok(Math.abs(Number(measurement.relative_l2) - 0.5) < 1e-6);
  });

  test('is not of one whose size the sample decides, though it is one by chance', async () => {
    const build = (name: string, bias: number) =>
      storeModel(directory, name, {
        inputs: [value('x', [1, FEATURES])],
        nodes: [
          node('Identity', ['x'], ['y']),
          node('Add', ['x', 'bias'], ['moved']),
          node('Greater', ['moved', 'zero'], ['condition']),
          node('Reshape', ['condition', 'all'], ['flat']),
          node('Compress', ['x', 'flat'], ['found']),
        ],
        initializers: [weights('bias', [1], [bias]), weights('zero', [1], [0]), integers('all', [-1])],
        outputs: [value('y', [1, FEATURES]), value('found', ['n_found'])],
      });
    const x = Float32Array.from({ length: 2 * FEATURES }, (_, i) => Number(i % FEATURES === 0) - 0.5);
    const input = await writeArray(directory, 'one', 'float32', [2, FEATURES], x);
    const few = { nSamples: 2, inputs: [{ ...input, name: 'x' }], labels: null };
    const { byOutput, measurement } = await compare(
      await build('found-a', 0),
      await build('found-b', 1),
      few,
    );
    assert.deepEqual([byOutput, measurement.relative_l2], [null, 0]);
  });

  test('outputs that are zeros, and stay so, take nothing from the others', async () => {
    const heads = headsOf(['logits', 'logits'], [1, 0], 3);
    const { measurement, byOutput } = await compare(...(await pairOf(heads, 'zeros')));
    assert.deepEqual([byOutput?.[1].relative_l2, byOutput?.[1].cosine], [0, null]);
    assert.equal(measurement.cosine, byOutput?.[0].cosine);
    assert.ok(Number(measurement.cosine) < 1);
  });

  test('a figure that is not finite is worse than any', async () => {
    const heads = headsOf(['logits', 'logits'], [1, 1], 5);
    const [dense] = await pairOf(heads, 'finite');
    const broken = heads.map((head, i) =>
      i === 0 ? head : { ...head, numbers: head.numbers.map(() => 3e38) },
    );
    const { measurement } = await compare(dense, await storeModel(directory, 'broken', headedParts(broken)));
    assert.deepEqual([measurement.relative_l2, measurement.cosine], [null, null]);
  });

  test('an output that is not finite in the dense model is named', async () => {
    const [first, second] = headsOf(['logits', 'logits'], [1, 1], 9);
    const heads = [first, { ...second, numbers: second.numbers.map(() => 3e38) }];
    const [dense] = await pairOf(heads, 'infinite');
    await assert.rejects(
      compare(dense, dense),
      /output 'out1' of the dense model is NaN or infinite at sample/,
    );
  });

  test('labels go with the first output alone, and take nothing from the drift of the others', async () => {
    const heads = headsOf(['logits', 'logits'], [1, 1], 11);
    const ids = BigInt64Array.from({ length: N }, (_, i) => (i % 2 === 0 ? -100n : BigInt(i % 5)));
    const labels = await writeArray(directory, 'labels', 'int64', [N], ids);
    const pair = await pairOf(heads, 'labelled');
    const [labelled, unlabelled] = [await compare(...pair, { ...samples, labels }), await compare(...pair)];
    assert.ok(labelled.measurement.loss !== null);
    assert.equal(labelled.measurement.relative_l2, unlabelled.measurement.relative_l2);
    assert.deepEqual(labelled.byOutput?.[1], unlabelled.byOutput?.[1]);
    const positions = (labelled.risks.top1_agreement ?? []).map(({ weight }) =>
      weight.reduce((sum, each) => sum + each, 0),
    );
    assert.deepEqual(positions, [N / 2, N]);
  });
});
