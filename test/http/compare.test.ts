import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { comparisonSchema } from '../../src/pipeline/compare/comparison.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { editedCopy, encodeModel, numbersOf } from '../pipeline/compare/compared-models.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const example = (name: string) => readFile(new URL(`../../examples/${name}`, import.meta.url));
const original = await example('fc2-mnist.onnx');
const WEIGHT = '1.weight';
/** Every fourth weight of the first layer gone, by hand. */
const byHand = editedCopy(original, (value, i, name) => (name === WEIGHT && i % 4 === 0 ? 0 : value));

let service: TestService;
let ids: { original: string; pruned: string; dataset: string };
before(async () => {
  service = await openTestService({ worker: true });
  const data = new FormData();
  data.append('inputs', fileOf(await example('mnist/evaluation_inputs.npy')), 'input.npy');
  data.append('labels', fileOf(await example('mnist/evaluation_labels.npy')), 'labels.npy');
  const response = await fetch(`${service.url}/v1/datasets`, { method: 'POST', body: data });
  ids = {
    original: await upload('fc2-mnist.onnx', original),
    pruned: await upload('by-hand.onnx', encodeModel(byHand)),
    dataset: (await readJson(response)).id,
  };
});
after(() => service.close());

async function upload(name: string, content: Uint8Array): Promise<string> {
  const form = new FormData();
  form.append('file', fileOf(content), name);
  const response = await fetch(`${service.url}/v1/models`, { method: 'POST', body: form });
  assert.ok(response.ok, await response.clone().text());
  return (await readJson(response)).id;
}

const compare = (body: object, headers: Record<string, string> = { prefer: 'wait=60' }) =>
  fetch(`${service.url}/v1/compare`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
const get = (path: string) => fetch(service.url + path);

describe('POST /v1/compare', () => {
  test('a copy pruned by hand: a job, its comparison, and the masks', async () => {
    const response = await compare({
      original_model_id: ids.original,
      pruned_model_id: ids.pruned,
      evaluation_dataset_id: ids.dataset,
    });
    const job = await readJson(response);
    assert.deepEqual(
      [response.status, job.status, job.summary],
      [200, 'succeeded', null],
      JSON.stringify(job),
    );
    assert.deepEqual([job.model_id, job.pruned_model_id], [ids.original, ids.pruned]);
    assert.deepEqual(
      job.artifacts.map(({ name }: { name: string }) => name),
      ['compare.json', 'masks.safetensors'],
    );
    const comparison = comparisonSchema.parse(await readJson(await get(`/v1/jobs/${job.id}/comparison`)));
    assert.deepEqual(await readJson(await get(job.artifacts[0].url)), comparison);
    const numbers = numbersOf(byHand, WEIGHT);
    const first = comparison.tensors.find(({ name }) => name === WEIGHT);
    assert.equal(first?.n_keep, numbers.filter((value) => value !== 0).length);
    assert.deepEqual([first?.change, comparison.total.is_mask], ['masked', true]);
    assert.equal(comparison.original.name, 'fc2-mnist.onnx');
    assert.equal(comparison.pruned.name, 'by-hand.onnx');
    assert.ok(comparison.evaluation?.better.found);

    const report = await readProblem(await get(`/v1/jobs/${job.id}/report`));
    assert.match(report.detail, /compares two models/);
    const refused = await service.fetch(`/v1/models/${ids.pruned}`, { method: 'DELETE' });
    assert.equal(refused.status, 204);
    assert.equal(await upload('by-hand.onnx', encodeModel(byHand)), ids.pruned);
  });

  test('losses are those that a job measures of the same model', async () => {
    const asked = {
      original_model_id: ids.original,
      pruned_model_id: ids.pruned,
      evaluation_dataset_id: ids.dataset,
    };
    const { id } = await readJson(await compare(asked));
    const { evaluation } = await readJson(await get(`/v1/jobs/${id}/comparison`));
    for (const [model, found] of [
      [ids.original, evaluation.original],
      [ids.pruned, evaluation.pruned],
    ] as const) {
      const recipe = { dry_run: true };
      const response = await fetch(`${service.url}/v1/jobs`, {
        method: 'POST',
        body: JSON.stringify({ model_id: model, evaluation_dataset_id: ids.dataset, recipe }),
        headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      });
      const { summary } = await readJson(response);
      assert.deepEqual([found.loss, found.accuracy], [summary.dense_loss, summary.dense_accuracy]);
    }
  });

  test('the same key gives the same job, and other fields are refused', async () => {
    const asked = { original_model_id: ids.original, pruned_model_id: ids.pruned };
    const headers = { 'idempotency-key': 'compare once' };
    const [one, again] = [await compare(asked, headers), await compare(asked, headers)];
    assert.deepEqual([one.status, again.status], [202, 202]);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    assert.equal((await readJson(one)).id, (await readJson(again)).id);
    const { errors } = await readProblem(await compare({ ...asked, model_id: ids.original }));
    assert.match(JSON.stringify(errors), /model_id/);
  });

  test('a job that prunes has no comparison', async () => {
    const response = await fetch(`${service.url}/v1/jobs`, {
      method: 'POST',
      body: JSON.stringify({ model_id: ids.original }),
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    });
    const { id } = await readJson(response);
    const { code, detail } = await readProblem(await get(`/v1/jobs/${id}/comparison`));
    assert.deepEqual([code, detail.includes(`/v1/jobs/${id}/report`)], ['conflict', true]);
  });

  test('what cannot be compared is refused before there is a job, by the field', async () => {
    const other = await upload('other.safetensors', createSafetensors({ 'other.weight': [2, 3] }));
    const text = await upload('text.safetensors', createSafetensors({ [WEIGHT]: [100, 784] }));
    const given = { original_model_id: ids.original, evaluation_dataset_id: null };
    for (const [body, path, pattern] of [
      [{ ...given, pruned_model_id: ids.original }, '/pruned_model_id', /both ids name model/],
      [{ ...given, pruned_model_id: 'mdl_0123456789' }, '/pruned_model_id', /there is no model/],
      [
        { ...given, original_model_id: 'mdl_0123456789', pruned_model_id: ids.pruned },
        '/original_model_id',
        /there is no model/,
      ],
      [{ ...given, pruned_model_id: other }, '/pruned_model_id', /nothing in common/],
      [
        { ...given, pruned_model_id: text, evaluation_dataset_id: ids.dataset },
        '/pruned_model_id',
        /has no graph/,
      ],
    ] as const) {
      const response = await compare(body);
      const { detail, errors } = await readProblem(response);
      assert.equal(response.status, 422, detail);
      assert.deepEqual([errors[0]?.path, pattern.test(detail)], [path, true], detail);
    }
  });
});

test('models that a waiting comparison needs stay', async () => {
  const waiting = await openTestService();
  try {
    const form = (name: string, content: Uint8Array) => {
      const data = new FormData();
      data.append('file', fileOf(content), name);
      return fetch(`${waiting.url}/v1/models`, { method: 'POST', body: data }).then(readJson);
    };
    const [one, other] = [await form('a.onnx', original), await form('b.onnx', encodeModel(byHand))];
    const response = await fetch(`${waiting.url}/v1/compare`, {
      method: 'POST',
      body: JSON.stringify({ original_model_id: one.id, pruned_model_id: other.id }),
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(response.status, 202);
    for (const { id } of [one, other])
      assert.equal((await waiting.fetch(`/v1/models/${id}`, { method: 'DELETE' })).status, 409);
  } finally {
    await waiting.close();
  }
});
