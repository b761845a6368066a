import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { FLOAT, typedInput, typedModel } from '../models/typed-model.ts';
import { fileOf, readJson } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

type Part = [part: string, name: string, content: Uint8Array];

let service: TestService;
before(async () => {
  service = await openTestService({ worker: true });
});
after(() => service.close());

const example = (name: string) => readFile(new URL(`../../examples/${name}`, import.meta.url));
const model = await example('fc2-mnist.onnx');
const calibration = await example('mnist/calibration_inputs.npy');
const inputs = await example('mnist/evaluation_inputs.npy');
const labels = await example('mnist/evaluation_labels.npy');

function post(path: string, parts: readonly Part[], recipe: object = {}): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  if (path === '/v1/jobs') form.append('recipe', JSON.stringify(recipe));
  return fetch(service.url + path, { method: 'POST', body: form, headers: { prefer: 'wait=60' } });
}

async function finished(response: Response) {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

describe('a job with calibration and evaluation data', () => {
  const recipe = { criterion: 'wanda', scope: 'row' };

  test('is scored and measured by them, sent along or uploaded before', async () => {
    const job = await finished(
      await post(
        '/v1/jobs',
        [
          ['model', 'fc2-mnist.onnx', model],
          ['calibration', 'calibration_inputs.npy', calibration],
          ['evaluation', 'evaluation_inputs.npy', inputs],
          ['evaluation_labels', 'evaluation_labels.npy', labels],
        ],
        recipe,
      ),
    );
    assert.deepEqual([job.status, job.error], ['succeeded', null]);
    const report = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
    const { evaluation } = report;
    assert.deepEqual([evaluation.output, evaluation.n_samples], ['logits', 500]);
    assert.equal(evaluation.dense.accuracy, await accuracyOf(labels, inputs));
    assert.notEqual(evaluation.pruned.loss, evaluation.dense.loss);
    assert.equal(report.environment.execution_provider, 'cpu');
    const stages = (await (await fetch(`${service.url}/v1/jobs/${job.id}/events`)).text()).matchAll(
      /"stage":"(\w+)"/g,
    );
    assert.ok([...stages].some(([, stage]) => stage === 'evaluate'));

    const dataset = await readJson(
      await post('/v1/datasets', [
        ['inputs', 'renamed.npy', inputs],
        ['labels', 'labels.npy', labels],
      ]),
    );
    assert.notEqual(dataset.id, job.evaluation_dataset_id, 'the name is part of what the id names');
    const again = await fetch(`${service.url}/v1/jobs`, {
      method: 'POST',
      body: JSON.stringify({
        model_id: job.model_id,
        recipe,
        calibration_dataset_id: job.calibration_dataset_id,
        evaluation_dataset_id: dataset.id,
      }),
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    });
    const { id, summary } = await finished(again);
    // What is measured of speed differs from run to run.
    const timed = { speedup: 1, speedup_low: 1, speedup_high: 1, speedup_is_difference: null, sentence: '' };
    assert.deepEqual({ ...summary, ...timed }, { ...job.summary, ...timed });
    const second = await readJson(await fetch(`${service.url}/v1/jobs/${id}/report`));
    const { latency_ms: _, ...pruned } = second.evaluation.pruned;
    assert.deepEqual({ ...evaluation.pruned, ...pruned }, evaluation.pruned);
    assert.deepEqual(
      second.tensors.map((tensor: { mask_sha256: string }) => tensor.mask_sha256),
      report.tensors.map((tensor: { mask_sha256: string }) => tensor.mask_sha256),
    );
  });
});

/** The 784-100-10 network, by three loops. */
async function accuracyOf(labelFile: Buffer, inputFile: Buffer): Promise<number> {
  const weights = await readParameters();
  const numbers = (file: Buffer) => file.subarray(10 + file.readUInt16LE(8));
  const pixels = numbers(inputFile);
  const classes = numbers(labelFile);
  let right = 0;
  for (let sample = 0; sample < 500; sample++) {
    let values: number[] = Array.from({ length: 784 }, (_, i) => pixels.readFloatLE(4 * (784 * sample + i)));
    for (const [layer, { weight, bias }] of weights.entries()) {
      values = bias.map((start, unit) =>
        values.reduce((sum, value, i) => sum + value * (weight[unit * values.length + i] ?? 0), start),
      );
      if (layer === 0) values = values.map((value) => Math.max(0, value));
    }
    if (values.indexOf(Math.max(...values)) === Number(classes.readBigInt64LE(8 * sample))) right++;
  }
  return right / 500;
}

/** The parameters as the service's own inventory places them in the file. */
async function readParameters(): Promise<{ weight: number[]; bias: number[] }[]> {
  const { data } = await readJson(await fetch(`${service.url}/v1/models`));
  const inventory = await service.store.readJson<{
    tensors: { name: string; data: { runs: { offset: number; byteLength: number }[] } }[];
  }>('models', data[0].id, 'inventory.json');
  const read = (name: string) => {
    const tensor = inventory?.tensors.find((candidate) => candidate.name === name);
    const [run] = tensor?.data.runs ?? [];
    assert.ok(run, name);
    const numbers: number[] = [];
    for (let at = 0; at < run.byteLength; at += 4) numbers.push(model.readFloatLE(run.offset + at));
    return numbers;
  };
  return ['1', '3'].map((layer) => ({ weight: read(`${layer}.weight`), bias: read(`${layer}.bias`) }));
}

describe('a job whose data turn out wrong fails, says where, and leaves no artifact', () => {
  const tiny: Part = ['model', 'tiny.onnx', typedModel(typedInput('x', FLOAT, ['batch', 4]))];
  const x = (...values: number[]) => createNpyOf('<f4', new Float32Array(values), [values.length / 4, 4]);
  const int64 = (values: bigint[], shape: number[]) => createNpyOf('<i8', new BigInt64Array(values), shape);
  const fine: Part = ['evaluation', 'x.npy', x(1, 2, 3, 4, 5, 6, 7, 8)];

  const failing: [string, Part[], object, string, RegExp][] = [
    [
      'a label outside the classes',
      [fine, ['evaluation_labels', 'y.npy', int64([0n, 3n], [2])]],
      {},
      'invalid_labels',
      /sample 1 has label 3: the model's classes are 0 to 2/,
    ],
    [
      'labels by position for an output without positions',
      [fine, ['evaluation_labels', 'y.npy', int64([0n, 1n, 0n, 1n], [2, 2])]],
      {},
      'samples_mismatch',
      /labels/,
    ],
    [
      'NaN in what the model computes from the calibration data',
      [['calibration', 'x.npy', x(1, 2, 3, 4, 5, 6, Number.NaN, 8)]],
      { criterion: 'wanda' },
      'non_finite_activation',
      /NaN|finite/,
    ],
    [
      'NaN in what the model computes from the evaluation data',
      [
        ['evaluation', 'x.npy', x(1, 2, 3, 4, 5, 6, Number.NaN, 8)],
        ['evaluation_labels', 'y.npy', int64([0n, 1n], [2])],
      ],
      {},
      'non_finite_activation',
      /NaN|infinite/,
    ],
  ];
  for (const [what, parts, recipe, code, detail] of failing) {
    test(what, async () => {
      const job = await finished(await post('/v1/jobs', [tiny, ...parts], recipe));
      assert.deepEqual([job.status, job.error?.code], ['failed', code], JSON.stringify(job.error));
      assert.match(job.error.detail, detail);
      assert.doesNotMatch(JSON.stringify(job.error), new RegExp(service.store.root));
      assert.deepEqual(job.artifacts, []);
      const files = (await service.files(['jobs'])).filter((file) => file.includes(job.id));
      const names = files.map((file) => file.split('/').at(-1)).sort();
      assert.deepEqual(names, ['attempt-1.json', 'record.json', 'result.json']);
      assert.deepEqual(await service.files(['uploads']), []);
    });
  }
});

describe('data that a recipe has no use for are passed over, and the report says why', () => {
  const parts: Part[] = [
    ['model', 'fc2-mnist.onnx', model],
    // Of another shape than the model's input: nobody looks at it.
    ['calibration', 'x.npy', createNpyOf('<f4', new Float32Array(8), [2, 4])],
    ['scores', 's.safetensors', createSafetensors({ w: [4, 3] })],
  ];
  const warnings = [
    'The scores that came were not used: criterion magnitude takes no scores.',
    'The calibration data that came were not used: criterion magnitude takes no calibration data.',
  ];
  async function unusedOf(job: { id: string; status: string; error: unknown }): Promise<string[]> {
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    const report = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
    return report.verdict.warnings
      .filter(({ code }: { code: string }) => code === 'input_not_used')
      .map(({ text }: { text: string }) => text);
  }

  test('sent along, and named by a job', async () => {
    const job = await finished(await post('/v1/jobs', parts));
    assert.deepEqual(await unusedOf(job), warnings);
    const { model_id, calibration_dataset_id, scores_dataset_id } = job;
    const again = await fetch(`${service.url}/v1/jobs`, {
      method: 'POST',
      body: JSON.stringify({ model_id, calibration_dataset_id, scores_dataset_id }),
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    });
    assert.deepEqual(await unusedOf(await finished(again)), warnings);
  });

  test('with a model that has no graph to run them', async () => {
    const graphless: Part = ['model', 'm.safetensors', createSafetensors({ 'fc.weight': [4, 4] })];
    const job = await finished(await post('/v1/jobs', [graphless, ...parts.slice(1)]));
    assert.deepEqual(await unusedOf(job), warnings);
    assert.equal(job.summary.n, 16);
  });
});
