import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { node, value } from '../models/build-model.ts';
import { weights, writeModel } from '../models/runtime-model.ts';
import { gaussians } from '../models/small-model.ts';
import { writeArray } from '../runtime/samples.ts';
import { pruneFiles } from './prune-files.ts';

const [N, WIDTH, CLASSES] = [240, 12, 6];

/** A model that ends in another way, and labels that go with it, from what a matrix makes of the samples. */
interface Case {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly input: (number | string)[];
  readonly output: (number | string)[];
  readonly labels: (logits: Float32Array) => { dtype: string; shape: number[]; numbers: ArrayBufferView };
  /** Positions of a sample that count. */
  readonly positions: number;
}

const best = (row: Float32Array) => row.indexOf(Math.max(...row));
const rowsOf = (logits: Float32Array) =>
  Array.from({ length: N }, (_, i) => logits.subarray(i * CLASSES, (i + 1) * CLASSES));
const classIds = (logits: Float32Array) => ({
  dtype: 'int64',
  shape: [N],
  numbers: BigInt64Array.from(rowsOf(logits), (row, i) =>
    BigInt((best(row) + Number(i % 12 === 0)) % CLASSES),
  ),
});
const product = node('MatMul', ['x', 'w'], ['z']);

const CASES: readonly Case[] = [
  {
    name: 'the samples on the last axis of the output',
    nodes: [product, node('Transpose', ['z'], ['y'], { perm: [1, 0] })],
    input: ['batch', WIDTH],
    output: [CLASSES, 'batch'],
    labels: classIds,
    positions: 1,
  },
  {
    name: 'one sample at a time, without an axis for it',
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    input: [WIDTH],
    output: [CLASSES],
    labels: classIds,
    positions: 1,
  },
  {
    name: 'several labels, made by a Sigmoid',
    nodes: [product, node('Sigmoid', ['z'], ['y'])],
    input: ['batch', WIDTH],
    output: ['batch', CLASSES],
    labels: (logits) => ({
      dtype: 'float32',
      shape: [N, CLASSES],
      numbers: Float32Array.from(logits, (logit, i) => Number(logit > 0 !== (i % 12 === 0))),
    }),
    positions: CLASSES,
  },
];

describe('accuracy falls by no more than predictions change', () => {
  let directory: string;
  const x = gaussians(N * WIDTH, 1);
  const w = gaussians(WIDTH * CLASSES, 2);
  const logits = Float32Array.from({ length: N * CLASSES }, (_, at) => {
    const [sample, column] = [Math.floor(at / CLASSES), at % CLASSES];
    let sum = 0;
    for (let i = 0; i < WIDTH; i++) sum += x[sample * WIDTH + i] * w[i * CLASSES + column];
    return sum;
  });
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-predictions-'));
  });
  after(() => rm(directory, { recursive: true }));

  const samplesOf = async (name: string, { labels }: Case): Promise<SampleSet> => {
    const { dtype, shape, numbers } = labels(logits);
    const input = await writeArray(directory, `${name}-x`, 'float32', [N, WIDTH], x);
    return {
      nSamples: N,
      inputs: [{ ...input, name: 'x' }],
      labels: await writeArray(directory, `${name}-labels`, dtype, shape, numbers),
    };
  };

  for (const [at, which] of CASES.entries()) {
    test(`of a model with ${which.name}`, async () => {
      const path = await writeModel(directory, `model${at}`, {
        inputs: [value('x', which.input)],
        outputs: [value('y', which.output)],
        nodes: [...which.nodes],
        initializers: [weights('w', [WIDTH, CLASSES], [...w])],
      });
      const evaluation = await samplesOf(`case${at}`, which);
      const target = { max_disagreement: 0.05 };
      await using pruned = await pruneFiles(path, { target }, { evaluation });
      const figures = pruned.report.evaluation ?? assert.fail();
      assert.ok(figures.search?.found && pruned.report.total.sparsity > 0);
      const drop = Number(figures.dense.accuracy) - Number(figures.pruned.accuracy);
      const changed = 1 - Number(figures.pruned.top1_agreement);
      assert.ok(drop <= changed + 1e-9, `${drop} of ${changed}`);
      await using alone = await pruneFiles(
        path,
        { beta: 0.3 },
        { evaluation: { ...evaluation, labels: null } },
      );
      const without = alone.report.evaluation ?? assert.fail();
      assert.equal(without.n_positions, N * which.positions);
      assert.ok(Number(without.pruned.top1_agreement) < 1);
    });
  }

  test('of labels of which most do not count', async () => {
    const steps = 8;
    const path = await writeModel(directory, 'steps', {
      inputs: [value('x', ['batch', steps, WIDTH])],
      outputs: [value('y', ['batch', steps, CLASSES])],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [weights('w', [WIDTH, CLASSES], [...w])],
    });
    const nSamples = N / steps;
    const input = await writeArray(directory, 'steps-x', 'float32', [nSamples, steps, WIDTH], x);
    const ids = classIds(logits).numbers.map((id, i) => (i % steps === 0 ? id : -100n));
    const labels = await writeArray(directory, 'steps-labels', 'int64', [nSamples, steps], ids);
    const data = { nSamples, inputs: [{ ...input, name: 'x' }] };
    const recipe = { target: { max_disagreement: 0.5 } };
    await using pruned = await pruneFiles(path, recipe, { evaluation: { ...data, labels } });
    const { dense, pruned: figures, n_positions } = pruned.report.evaluation ?? assert.fail();
    assert.equal(n_positions, nSamples / 2);
    const changed = Math.round((1 - Number(figures.top1_agreement)) * n_positions);
    assert.ok(Math.abs(changed / n_positions - (1 - Number(figures.top1_agreement))) < 1e-12);
    assert.ok(
      changed > 0 && Number(dense.accuracy) - Number(figures.accuracy) <= changed / n_positions + 1e-9,
    );
  });

  test('divergence is that of the softmax, whether the model has one or not', async () => {
    const parts = { inputs: [value('x', ['batch', WIDTH])], outputs: [value('y', ['batch', CLASSES])] };
    const initializers = [weights('w', [WIDTH, CLASSES], [...w])];
    const ends = [
      [node('MatMul', ['x', 'w'], ['y'])],
      [product, node('Softmax', ['z'], ['y'], { axis: -1 })],
    ];
    const evaluation = { ...(await samplesOf('kl', CASES[0])), labels: null };
    const { second } = splitSamples(N, 1, 1 / 2, 0) ?? assert.fail();
    const figures: number[] = [];
    for (const [i, nodes] of ends.entries()) {
      const path = await writeModel(directory, `kl${i}`, { ...parts, nodes, initializers });
      await using pruned = await pruneFiles(path, { target: { max_kl: 0.1 } }, { evaluation });
      const kept = new Float32Array(await weightsOf(`${pruned.directory}/kl${i}.onnx`));
      const divergences = Array.from(second, (sample) => {
        const [dense, own] = [w, kept].map((matrix) => softmaxOf(x.subarray(sample * WIDTH), matrix));
        return dense.reduce((sum, p, at) => sum + p * Math.log(p / own[at]), 0);
      });
      const mean = divergences.reduce((sum, each) => sum + each, 0) / second.length;
      const found = pruned.report.evaluation?.pruned.kl ?? Number.NaN;
      assert.ok(mean > 0 && Math.abs(found / mean - 1) < 1e-3, `${found} ${mean}`);
      figures.push(found);
    }
    assert.ok(Math.abs(figures[0] / figures[1] - 1) < 1e-3);
  });

  test('outputs that are zeros, and stay so, do not drift', async () => {
    const path = await writeModel(directory, 'zeros', {
      inputs: [value('x', ['batch', WIDTH])],
      outputs: [value('y', ['batch', CLASSES])],
      nodes: [product, node('Mul', ['z', 'nothing'], ['y'])],
      initializers: [weights('w', [WIDTH, CLASSES], [...w]), weights('nothing', [1], [0])],
    });
    const evaluation = { ...(await samplesOf('zeros', CASES[0])), labels: null };
    await using pruned = await pruneFiles(path, { target: { max_relative_l2: 0.05 } }, { evaluation });
    assert.equal(pruned.report.evaluation?.pruned.relative_l2, 0);
    assert.ok(pruned.report.evaluation?.search?.met);
  });
});

/** Of a sample, in float64. */
function softmaxOf(sample: Float32Array, matrix: Float32Array): number[] {
  const logits = Array.from({ length: CLASSES }, (_, column) => {
    let sum = 0;
    for (let i = 0; i < WIDTH; i++) sum += sample[i] * matrix[i * CLASSES + column];
    return sum;
  });
  const most = Math.max(...logits);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
  return logits.map((logit) => Math.exp(logit - most) / total);
}

async function weightsOf(path: string): Promise<ArrayBuffer> {
  const proto = fromBinary(ModelProtoSchema, await readFile(path));
  const stored = proto.graph?.initializer.find(({ name }) => name === 'w') ?? assert.fail();
  return Uint8Array.from(stored.rawData).buffer;
}
