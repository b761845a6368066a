import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { sendWithKey } from './keyed-request.ts';
import { readOperations } from './operations.ts';
import { fileOf, readJson } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const read = (name: string) => readFile(new URL(`../../examples/${name}`, import.meta.url));
const ONNX = await read('fc2-mnist.onnx');
const [X, Y] = [await read('mnist/evaluation_inputs.npy'), await read('mnist/evaluation_labels.npy')];
const OPERATIONS = (await readOperations()).filter(({ path }) => path.includes('{id}'));
const keyOf = (tenant: string | null) =>
  createKey({ name: `${tenant}`, tenant, scopes: ['read', 'write', 'admin'] });
const KEYS = { a: keyOf('team-a'), b: keyOf('team-b'), own: keyOf(null) };
type Who = keyof typeof KEYS;

describe('tenants of one service', () => {
  let service: TestService;
  /** What `a` has, by the word before its id in a path. */
  let has: Record<string, string>;
  before(async () => {
    const keys = new KeyRing(Object.values(KEYS).map(({ stored }) => stored));
    service = await openTestService({ worker: true, keys });
    const model = await readJson(await upload('a', 'models', { file: ['fc2-mnist.onnx', ONNX] }));
    const { id: evaluation_dataset_id } = await readJson(
      await upload('a', 'datasets', { inputs: ['images.npy', X], labels: ['y.npy', Y] }),
    );
    const promise = { max_loss_increase: 0.05 };
    const asked = { model_id: model.id, evaluation_dataset_id, promise };
    const search = await readJson(await send('a', 'POST', '/v1/searches', asked));
    await send('a', 'POST', `/v1/searches/${search.id}/cancel`);
    const job = await readJson(await send('a', 'POST', '/v1/jobs', { model_id: model.id }, WAIT));
    assert.equal(job.status, 'succeeded');
    has = { models: model.id, datasets: evaluation_dataset_id, jobs: job.id, searches: search.id };
  });
  after(() => service.close());

  const WAIT = { prefer: 'wait=60' };
  const send = (who: Who, method: string, path: string, body?: object, headers?: object) =>
    sendWithKey(service.url + path, KEYS[who].text, method, body, headers);
  const upload = (who: Who, kind: string, files: Record<string, [string, Buffer]>) => {
    const form = new FormData();
    for (const [part, [name, content]] of Object.entries(files)) form.append(part, fileOf(content), name);
    return fetch(`${service.url}/v1/${kind}`, {
      method: 'POST',
      body: form,
      headers: { authorization: `Bearer ${KEYS[who].text}` },
    });
  };

  test('work as if they were alone: the same content is new to each, and lists have what is their own', async () => {
    for (const who of ['b', 'own'] as const) {
      const model = await upload(who, 'models', { file: ['fc2-mnist.onnx', ONNX] });
      assert.equal(model.status, 201);
      assert.equal((await readJson(model)).id, has.models);
      const jobs = async () => (await readJson(await send(who, 'GET', '/v1/jobs'))).data;
      assert.deepEqual(await jobs(), []);
      const job = await readJson(await send(who, 'POST', '/v1/jobs', { model_id: has.models }, WAIT));
      assert.equal(job.status, 'succeeded');
      assert.deepEqual(
        (await jobs()).map(({ id }: { id: string }) => id),
        [job.id],
      );
      assert.equal((await send(who, 'DELETE', `/v1/models/${has.models}`)).status, 204);
    }
    assert.equal((await send('a', 'GET', `/v1/models/${has.models}`)).status, 200);
    assert.equal((await send('a', 'GET', `/v1/jobs/${has.jobs}/artifacts/report.json`)).status, 200);
  });

  test('have idempotency keys of their own', async () => {
    const headers = { 'idempotency-key': 'nightly', ...WAIT };
    const first = await readJson(await send('a', 'POST', '/v1/jobs', { model_id: has.models }, headers));
    await upload('b', 'models', { file: ['fc2-mnist.onnx', ONNX] });
    const body = { model_id: has.models, recipe: { beta: 0.5 } };
    const other = await send('b', 'POST', '/v1/jobs', body, headers);
    assert.equal(other.status, 200);
    assert.equal(other.headers.get('idempotency-replayed'), null);
    assert.notEqual((await readJson(other)).id, first.id);
    await send('b', 'DELETE', `/v1/models/${has.models}`);
  });

  for (const { method, path } of OPERATIONS) {
    test(`${method} ${path}: another's id is as one that is not there`, async () => {
      const [, , kind = ''] = path.split('/');
      const id = has[kind] ?? `${kind}-0`;
      const ask = async (asked: string) => {
        const filled = path
          .replace('{id}', asked)
          .replace('{name}', 'report.json')
          .replace('{candidate}', '1');
        const body = { POST: { value: 1 }, PUT: { pinned: true } }[method];
        const response = await send('b', method, filled, body);
        const { request_id: _, ...problem } = await readJson(response);
        return { status: response.status, problem: JSON.stringify(problem).replaceAll(asked, 'ID') };
      };
      const others = await ask(id);
      assert.deepEqual(others, await ask(`${id.slice(0, -1)}${id.endsWith('0') ? 1 : 0}`));
      if (kind in has) assert.equal(others.status, 404);
    });
  }

  test("none of that has touched what is another's", async () => {
    assert.equal((await send('a', 'GET', `/v1/models/${has.models}`)).status, 200);
    const job = await readJson(await send('a', 'GET', `/v1/jobs/${has.jobs}`));
    assert.equal(job.status, 'succeeded');
  });

  test("cannot name what is another's in a request", async () => {
    const ids = { model_id: has.models };
    for (const [path, body] of [
      ['/v1/jobs', ids],
      ['/v1/compare', { original_model_id: has.models, pruned_model_id: `${has.models}0` }],
      ['/v1/searches', { ...ids, evaluation_dataset_id: has.datasets, promise: { max_kl: 1 } }],
    ] as const) {
      const response = await send('b', 'POST', path, body);
      assert.ok(response.status >= 400 && response.status < 500, `${path}: ${response.status}`);
      assert.match(await response.text(), /there is no|is not there|not_found/);
    }
  });
});
