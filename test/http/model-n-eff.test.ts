import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encode } from '../models/build-model.ts';
import { qdq, quantizedPair } from '../models/quantized-models.ts';
import { FORMATS } from '../models/quantized-numbers.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const perceptron = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));

let service: TestService;
before(async () => {
  service = await openTestService({ worker: true });
});
after(() => service.close());

async function upload(to: Pick<TestApp, 'fetch'>, name: string, content: Uint8Array): Promise<string> {
  const form = new FormData();
  form.append('file', fileOf(content), name);
  const response = await to.fetch('/v1/models', { method: 'POST', body: form });
  assert.ok(response.ok, await response.clone().text());
  return (await readJson(response)).id;
}

const INT8 = qdq('int8', 19, { format: FORMATS.int8, along: 1, hasZeroPoints: true });

/** A tensor of zeros, which has no N_eff, before one of 13 to 24. */
function withZeros(): Uint8Array {
  const content = createSafetensors({ 'zero.weight': [4, 3], 'one.weight': [4, 3] });
  content.fill(0, content.length - 24 * 4, content.length - 12 * 4);
  return content;
}

const ask = (id: string) => fetch(`${service.url}/v1/models/${id}/n-eff`);

async function dryRun(modelId: string, scope: 'layer' | 'global') {
  const response = await fetch(`${service.url}/v1/jobs`, {
    method: 'POST',
    body: JSON.stringify({ model_id: modelId, recipe: { scope, dry_run: true } }),
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
  });
  const job = await readJson(response);
  assert.equal(job.status, 'succeeded', JSON.stringify(job));
  return readJson(await fetch(`${service.url}/v1/jobs/${job.id}/artifacts/report.json`));
}

interface Figures {
  readonly name: string;
  readonly n: number;
  readonly n_eff: number | null;
  readonly n_keep: number;
}
const figuresOf = ({ n, n_eff, n_keep }: Omit<Figures, 'name'>) => ({
  n,
  n_eff,
  n_keep,
  density: n_keep / n,
});

describe('GET /v1/models/{id}/n-eff', () => {
  for (const [what, name, content] of [
    ['an ONNX model', 'fc2-mnist.onnx', perceptron],
    ['quantized weights', 'quantized.onnx', encode(quantizedPair(INT8).quantized)],
    ['a tensor of zeros beside one of numbers', 'zeros.safetensors', withZeros()],
  ] as const) {
    test(`${what}: the figures of dry runs with scope layer and global`, async () => {
      const id = await upload(service, name, content);
      const response = await ask(id);
      assert.equal(response.status, 200, await response.clone().text());
      const { data, total } = await readJson(response);
      const layer = await dryRun(id, 'layer');
      assert.deepEqual(
        data,
        layer.tensors.map((tensor: Figures) => ({ name: tensor.name, ...figuresOf(tensor) })),
      );
      assert.deepEqual(total, figuresOf((await dryRun(id, 'global')).total));
      assert.ok(!(await service.leftOver()).some((path) => path.startsWith('uploads/')));
    });
  }

  test('what the formula gives of weights 1 to 6 and 7 to 10', async () => {
    const id = await upload(
      service,
      'a.safetensors',
      createSafetensors({ 'a.weight': [2, 3], 'b.weight': [2, 2] }),
    );
    const numbers = (first: number, last: number) =>
      Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const expected = (values: number[]) => {
      const sum = values.reduce((all, value) => all + value, 0);
      const squares = values.reduce((all, value) => all + value * value, 0);
      return figuresOf({
        n: values.length,
        // In the order of the kernel's own rounding.
        n_eff: (sum / squares) * sum,
        n_keep: Math.floor((sum * sum) / squares),
      });
    };
    assert.deepEqual(await readJson(await ask(id)), {
      data: [
        { name: 'a.weight', ...expected(numbers(1, 6)) },
        { name: 'b.weight', ...expected(numbers(7, 10)) },
      ],
      total: expected(numbers(1, 10)),
    });
  });

  test('is found once: later answers need neither a process nor the model', async () => {
    const id = await upload(service, 'once.safetensors', createSafetensors({ 'once.weight': [4, 3] }));
    const first = await readJson(await ask(id));
    await rm(join(service.store.root, 'models', id, 'files', 'once.safetensors'));
    assert.deepEqual(await readJson(await ask(id)), first);
  });

  test('goes with the model', async () => {
    const id = await upload(service, 'gone.safetensors', createSafetensors({ 'gone.weight': [4, 3] }));
    assert.equal((await ask(id)).status, 200);
    assert.equal((await service.fetch(`/v1/models/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await ask(id)).status, 404);
    assert.ok(!(await service.files(['models'])).some((path) => path.includes(id)));
  });

  test('a model without a prunable tensor', async () => {
    const id = await upload(service, 'norms.safetensors', createSafetensors({ 'norm.bias': [4] }));
    const response = await ask(id);
    const { code, detail, errors } = await readProblem(response);
    assert.deepEqual([response.status, code], [422, 'no_prunable_tensors']);
    assert.match(detail, /none of its 1 float tensors has two dimensions: norm\.bias/);
    assert.equal(errors[0]?.path, 'norms.safetensors');
  });

  test('weights that are not finite: which, and where', async () => {
    const values = new Float32Array([1, Number.NaN, 2, 3]);
    const content = createSafetensors({ 'a.weight': [2, 2] });
    content.set(new Uint8Array(values.buffer), content.length - values.byteLength);
    const response = await ask(await upload(service, 'nan.safetensors', content));
    const { code, detail } = await readProblem(response);
    assert.deepEqual([response.status, code], [422, 'non_finite_score']);
    assert.match(detail, /a\.weight .*index 1/);
  });
});

test('a model that takes too long to read says so, and leaves nothing', async () => {
  const app = await openTestApp({ analysisLimits: { timeMs: 1 } });
  try {
    const id = await upload(app, 'fc2-mnist.onnx', perceptron);
    const response = await app.fetch(`/v1/models/${id}/n-eff`);
    const { code, detail } = await readProblem(response);
    assert.deepEqual([response.status, code], [422, 'limit_exceeded']);
    assert.match(detail, /^N_eff of fc2-mnist\.onnx cannot be found: reading its weights takes longer than/);
    assert.ok(!(await app.files()).some((path) => path.includes('n-eff') || path.startsWith('uploads/')));
  } finally {
    await app.close();
  }
});
