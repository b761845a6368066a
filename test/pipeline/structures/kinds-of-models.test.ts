import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../../src/formats/sample-set.ts';
import { modelInputs } from '../../../src/graph/interface.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { moveOut } from '../../models/runtime-model.ts';
import { writeMlp } from '../../models/small-mlp.ts';
import { writeSmallModel } from '../../models/small-safetensors.ts';
import { writeArray } from '../../runtime/samples.ts';
import { createFeeds } from '../../structure/model-feeds.ts';
import { inventoryOf, pruneFiles } from '../prune-files.ts';

const N_SAMPLES = 40;
const POSITIONS = 6;

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-kinds-'));
});
after(() => rm(directory, { recursive: true }));

const pathOf = (name: string) =>
  fileURLToPath(new URL(`../../structure/models/${name}.onnx`, import.meta.url));

/** Random samples for a model in a single file. */
async function samplesOf(path: string): Promise<SampleSet> {
  const proto = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(path)));
  const inputs = modelInputs(new OnnxModel(proto));
  const dims = new Map(inputs.map((input) => [input.name, input.dims ?? []]));
  const feeds = createFeeds(inputs, (name) =>
    (dims.get(name) ?? []).map((size, axis) =>
      typeof size === 'number' ? size : axis === 0 ? N_SAMPLES : POSITIONS,
    ),
  );
  const arrays: SampleSet['inputs'][number][] = [];
  for (const [name, { dtype, shape, data }] of feeds)
    arrays.push(await writeArray(directory, name, dtype, shape, data as Float32Array));
  return { nSamples: N_SAMPLES, inputs: arrays, labels: null };
}

/** What is left of how many structures, and whether the layers behind them can be repaired. */
const CASES: [model: string, granularity: string, criterion: string, count: string, isRepaired: boolean][] = [
  ['gpt2', 'head', 'wanda', '6 of 8 in 2', true],
  ['gpt2', 'channel', 'activation', '192 of 256 in 2', true],
  ['grouped-query', 'head', 'variance', '6 of 8 in 4', true],
  ['vision', 'channel', 'variance', '96 of 128 in 2', true],
  ['recurrent', 'channel', 'wanda', '33 of 44 in 3', false],
];

describe('structures of exported models', () => {
  for (const [model, granularity, criterion, count, isRepaired] of CASES) {
    test(`${model}: a quarter of every ${granularity} family, by ${criterion}`, async () => {
      const samples = await samplesOf(pathOf(model));
      const data = { calibration: samples, evaluation: samples };
      const recipe = { granularity, criterion, scope: 'layer', round_to: 1, budget: { sparsity: 0.25 } };
      await using pruned = await pruneFiles(pathOf(model), recipe, data);
      const { structures, total, evaluation, sizes } = pruned.report;
      const families = structures?.families ?? [];
      assert.equal(`${total.n_keep} of ${total.n} in ${families.length}`, count);
      assert.ok(families.every(({ kind }) => kind === granularity));
      const { dense, pruned: left } = structures?.parameters ?? assert.fail();
      assert.ok(Number(left) < dense && Number(sizes.pruned_bytes) < sizes.dense_bytes);
      const drift = Number(evaluation?.pruned.relative_l2);
      assert.ok(drift > 0 && drift < 0.5, `${drift}`);
      if (!isRepaired) return;
      await using better = await pruneFiles(
        pathOf(model),
        { ...recipe, repair: ['bias', 'least_squares'] },
        data,
      );
      assert.ok(better.report.repair.at(-1)?.kept);
      assert.ok(Number(better.report.evaluation?.pruned.relative_l2) < drift);
    });
  }

  test('hidden units inside an LSTM show no activation of their own', async () => {
    const calibration = await samplesOf(pathOf('recurrent'));
    await assert.rejects(
      pruneFiles(pathOf('recurrent'), { granularity: 'channel', criterion: 'activation' }, { calibration }),
      {
        code: 'unsupported_model',
        message: /keeps what the weight gives inside the operator; exclude it or use criterion l2_norm$/,
      },
    );
  });
});

test('external data is left behind, smaller and under its own name', async () => {
  await using mlp = await writeMlp([6, 200, 4], 20);
  const proto = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(mlp.path)));
  const folder = await mkdtemp(join(directory, 'external-'));
  await writeFile(join(folder, 'weights.bin'), moveOut(proto, 'weights.bin'));
  await writeFile(join(folder, 'mlp.onnx'), toBinary(ModelProtoSchema, proto));
  const inventory = await inventoryOf(folder, ['mlp.onnx', 'weights.bin']);
  const recipe = { granularity: 'channel', criterion: 'l2_norm', budget: { sparsity: 0.5 } };
  await using inside = await pruneFiles(mlp.path, recipe, { evaluation: mlp.samples });
  await using outside = await pruneFiles(folder, recipe, { inventory, evaluation: mlp.samples });
  assert.deepEqual(outside.report.structures, inside.report.structures);
  assert.equal(outside.report.evaluation?.pruned.loss, inside.report.evaluation?.pruned.loss);
  assert.deepEqual(
    outside.artifacts.map(({ name }) => name),
    ['mlp.onnx', 'weights.bin', 'masks.safetensors', 'report.json', 'report.html', 'report.md'],
  );
  assert.ok((await stat(join(outside.directory, 'weights.bin'))).size < 6 * 200 * 4);
});

const NO_GRAPH = 'a safetensors file holds no graph to run: send the ONNX export, or give granularity weight';

test('a safetensors file has no graph to find channels and heads in', async () => {
  await using model = await writeSmallModel([
    { name: 'fc.weight', dtype: 'float32', shape: [2, 2], values: [1, 2, 3, 4] },
  ]);
  for (const granularity of ['channel', 'head']) {
    await assert.rejects(pruneFiles(model.path, { granularity, criterion: 'l2_norm' }), {
      code: 'invalid_request',
      message: NO_GRAPH,
      findings: [
        { path: '/recipe/granularity', message: `is ${granularity}, and needs a model that runs` },
        { path: 'model', message: NO_GRAPH, input: 'model' },
      ],
    });
  }
});
