import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { encode, node } from '../models/build-model.ts';
import { FUSED_PAIRS, type FusedPair } from '../models/fused-models.ts';
import { N_FUSED_SAMPLES, writeFusedSamples } from '../models/fused-samples.ts';
import { assertNear } from '../models/model-pair.ts';
import { gaussians } from '../models/small-model.ts';
import { build, MICROSOFT } from '../models/traced-model.ts';
import { writeArray } from '../runtime/samples.ts';
import { random } from '../structure/cases/rule-case.ts';
import { pruneFiles } from './prune-files.ts';

/** What a model stores once it is pruned, by name, as the file that was written says. */
async function prunedTensors(
  folder: string,
  model: ModelProto,
  recipe: object,
  samples: SampleSet,
): Promise<{ tensors: Map<string, Float32Array>; families: string[]; repaired: number[] }> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, encode(model));
  await using pruned = await pruneFiles(path, recipe, { calibration: samples, evaluation: samples });
  const { graph } = fromBinary(
    ModelProtoSchema,
    new Uint8Array(await readFile(join(pruned.directory, 'model.onnx'))),
  );
  const floats = graph?.initializer.filter(({ dataType }) => dataType === TensorProto_DataType.FLOAT) ?? [];
  const tensors = new Map(
    floats.map(({ name, rawData }) => [name, new Float32Array(rawData.slice().buffer)]),
  );
  const { structures, repair } = pruned.report;
  return {
    tensors,
    families: structures?.families.map(({ name, n, n_keep }) => `${name} ${n_keep} of ${n}`) ?? [],
    repaired: repair.map(({ n_repaired }) => n_repaired),
  };
}

const SCORED_BY_WEIGHT = ['wanda', 'activation', 'taylor'];
const SCORED_BY_STRUCTURE = ['wanda', 'obs', 'activation', 'taylor_rms'];
const RECIPES: [string, object][] = [
  ...SCORED_BY_WEIGHT.map((criterion): [string, object] => [
    `weights by ${criterion}`,
    { criterion, scope: 'layer', budget: { sparsity: 0.5 } },
  ]),
  ...SCORED_BY_STRUCTURE.map((criterion): [string, object] => [
    `channels by ${criterion}`,
    { granularity: 'channel', criterion, scope: 'layer', round_to: 1, budget: { sparsity: 0.3 } },
  ]),
  [
    'weights, repaired',
    { criterion: 'magnitude', scope: 'layer', budget: { sparsity: 0.6 }, repair: ['bias', 'least_squares'] },
  ],
  [
    'channels, repaired',
    {
      granularity: 'channel',
      criterion: 'l2_norm',
      scope: 'layer',
      round_to: 1,
      budget: { sparsity: 0.4 },
      repair: ['least_squares', 'bias'],
    },
  ],
];

const HEADS = {
  granularity: 'head',
  criterion: 'wanda',
  scope: 'layer',
  budget: { sparsity: 0.5 },
  repair: ['bias', 'least_squares'],
};

describe('what onnxruntime has fused is pruned as its parts are', () => {
  for (const pair of FUSED_PAIRS) {
    describe(pair.name, () => {
      for (const [what, recipe] of RECIPES) test(what, (t) => compare(t, pair, recipe));
      if (pair.name.includes('transformer')) test('heads, repaired', (t) => compare(t, pair, HEADS));
    });
  }
});

test('what a fused Sigmoid at the end of a model reads are its logits', async (t) => {
  const folder = await testFolder(t);
  const initializers = [random('w', [6, 8]), random('b', [8]), random('v', [8, 3])];
  const hidden = node('Gemm', ['x', 'w', 'b'], ['h']);
  const alpha = { alpha: { float: 40 } };
  const own = { ...alpha, beta: { float: 1 }, activation: 'Sigmoid' };
  const parts = { inputs: [['x', ['n', 6]] as ['x', ['n', number]]], initializers, outputs: ['y'] };
  const models = [
    build({ ...parts, nodes: [hidden, node('FusedGemm', ['h', 'v'], ['y'], own, MICROSOFT)] }),
    build({
      ...parts,
      nodes: [hidden, node('Gemm', ['h', 'v'], ['z'], alpha), node('Sigmoid', ['z'], ['y'])],
    }),
  ];
  const x = await writeArray(folder, 'x', 'float32', [N_FUSED_SAMPLES, 6], gaussians(N_FUSED_SAMPLES * 6, 3));
  const targets = Float32Array.from({ length: N_FUSED_SAMPLES * 3 }, (_, i) => i % 2);
  const labels = await writeArray(folder, 'labels', 'float32', [N_FUSED_SAMPLES, 3], targets);
  const samples = { nSamples: N_FUSED_SAMPLES, inputs: [x], labels };
  const losses: (number | null)[] = [];
  for (const [i, model] of models.entries()) {
    const path = join(folder, `model${i}.onnx`);
    await writeFile(path, encode(model));
    await using pruned = await pruneFiles(
      path,
      { criterion: 'taylor' },
      { calibration: samples, evaluation: samples },
    );
    const { evaluation } = pruned.report;
    assert.equal(evaluation?.loss_kind, 'binary_cross_entropy');
    losses.push(evaluation?.dense.loss ?? null, evaluation?.pruned.loss ?? null);
  }
  assertNear(losses.slice(0, 2).map(Number), losses.slice(2).map(Number), 1e-5);
});

async function compare(t: TestContext, pair: FusedPair, recipe: object): Promise<void> {
  const folder = await testFolder(t);
  const samples = await writeFusedSamples(folder, pair);
  const fused = await prunedTensors(folder, pair.fused, recipe, samples);
  const plain = await prunedTensors(folder, pair.plain, recipe, samples);
  assert.deepEqual(fused.families, plain.families);
  assert.deepEqual(fused.repaired, plain.repaired);
  assert.ok(fused.repaired.every((count) => count > 0));
  for (const [name, numbers] of fused.tensors) {
    const expected = plain.tensors.get(name);
    if (expected) assertNear(numbers, expected, 1e-4, name);
  }
}
