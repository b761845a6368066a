import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { Destinations } from '../../src/webhooks/destinations.ts';
import { type Receiver, startReceiver, verified } from '../webhooks/webhook-receiver.ts';
import { sendWithKey } from './keyed-request.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const read = (name: string) => readFile(new URL(`../../examples/${name}`, import.meta.url));
const ONNX = await read('fc2-mnist.onnx');
const [X, Y] = [await read('mnist/evaluation_inputs.npy'), await read('mnist/evaluation_labels.npy')];
const SCOPES = ['read', 'write'] as const;
const KEYS = {
  a: createKey({ name: 'a', tenant: 'team-a', scopes: [...SCOPES] }),
  b: createKey({ name: 'b', tenant: 'team-b', scopes: [...SCOPES] }),
};
/** Two pauses: three attempts. */
const DELAYS_MS = [50, 100];

interface DeliveryView {
  id: string;
  event: string;
  candidate: number | null;
  status: string;
  next_attempt_at: string | null;
  delivered_at: string | null;
  attempts: { status: number | null; error: string | null }[];
}

describe('webhooks', () => {
  let service: TestService;
  let receiver: Receiver;
  let model_id: string;
  let evaluation_dataset_id: string;
  let secret: { id: string; secret: string };
  before(async () => {
    const keys = new KeyRing(Object.values(KEYS).map(({ stored }) => stored));
    const destinations = new Destinations(['127.0.0.1']);
    service = await openTestService({ worker: true, keys, webhooks: { destinations, delaysMs: DELAYS_MS } });
    model_id = (await upload('models', { file: ['fc2-mnist.onnx', ONNX] })).id;
    evaluation_dataset_id = (await upload('datasets', { inputs: ['x.npy', X], labels: ['y.npy', Y] })).id;
    const early = await send('POST', '/v1/jobs', { model_id, webhook: { url: 'https://example.com/' } });
    assert.equal(early.status, 422);
    const { errors } = await readProblem(early);
    assert.deepEqual(errors, [
      { path: '/webhook', message: 'needs a secret to be signed by: POST /v1/webhook-secrets makes one' },
    ]);
    const made = await send('POST', '/v1/webhook-secrets');
    assert.equal(made.status, 201);
    secret = await readJson(made);
  });
  after(() => service.close());
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver[Symbol.asyncDispose]());

  const send = (method: string, path: string, body?: object, headers?: object, who: 'a' | 'b' = 'a') =>
    sendWithKey(service.url + path, KEYS[who].text, method, body, headers);
  const form = (parts: Record<string, [string, Buffer]>) => {
    const made = new FormData();
    for (const [part, [name, content]] of Object.entries(parts)) made.append(part, fileOf(content), name);
    return made;
  };
  const post = (path: string, body: FormData) =>
    fetch(service.url + path, { method: 'POST', body, headers: { authorization: `Bearer ${KEYS.a.text}` } });
  const upload = async (kind: string, parts: Record<string, [string, Buffer]>) =>
    readJson(await post(`/v1/${kind}`, form(parts)));
  const hook = (path = '/hook') => ({ url: receiver.url + path });
  const begin = async (body: object = {}) => {
    const response = await send('POST', '/v1/jobs', { model_id, webhook: hook(), ...body });
    assert.equal(response.status, 202, await response.clone().text());
    return (await readJson(response)).id as string;
  };
  const deliveries = async (path: string): Promise<DeliveryView[]> =>
    (await readJson(await send('GET', `${path}/webhooks`))).data;
  const delivery = async (path: string, holds: (one: DeliveryView) => boolean): Promise<DeliveryView> => {
    for (let tries = 0; tries < 500; tries++) {
      const found = (await deliveries(path)).find(holds);
      if (found) return found;
      await sleep(20);
    }
    return assert.fail(`${path}: ${JSON.stringify(await deliveries(path))}`);
  };
  const hasStatus = (status: string) => (one: DeliveryView) => one.status === status;

  test('tell the end of a job, signed, with where the rest is', async () => {
    const id = await begin({ metadata: { run: 'nightly' } });
    const [one] = await receiver.until(1);
    const { type, timestamp, data } = verified(secret.secret, one);
    const job = await readJson(await send('GET', `/v1/jobs/${id}`));
    assert.deepEqual([type, timestamp], ['job.succeeded', job.finished_at]);
    assert.deepEqual(data, {
      ...{ id, status: 'succeeded', error: null, metadata: { run: 'nightly' } },
      decision: job.summary.decision,
      sentence: job.summary.sentence,
      links: { self: `/v1/jobs/${id}` },
    });
    const told = await delivery(`/v1/jobs/${id}`, hasStatus('delivered'));
    assert.equal(told.id, one.headers['webhook-id']);
    assert.equal(told.event, 'end');
    assert.deepEqual(
      told.attempts.map(({ status, error }) => [status, error]),
      [[204, null]],
    );
    assert.equal((await send('DELETE', `/v1/jobs/${id}`)).status, 204);
    assert.equal((await send('GET', `/v1/jobs/${id}/webhooks`)).status, 404);
    assert.deepEqual(await service.store.listUntold(), []);
  });

  test('are sent again under the same id until they are taken', async () => {
    receiver.answer = (_, response) => response.writeHead(receiver.received.length < 2 ? 500 : 200).end();
    const id = await begin();
    const all = await receiver.until(2);
    const told = await delivery(`/v1/jobs/${id}`, hasStatus('delivered'));
    assert.deepEqual(
      all.map(({ headers }) => headers['webhook-id']),
      [told.id, told.id],
    );
    assert.equal(all[0].body, all[1].body);
    for (const one of all) verified(secret.secret, one);
    assert.deepEqual(
      told.attempts.map(({ status }) => status),
      [500, 200],
    );
    assert.equal(told.next_attempt_at, null);
  });

  test('are given up in the end, and sent again on demand', async () => {
    receiver.answer = (_, response) => response.writeHead(503).end();
    const path = `/v1/jobs/${await begin()}`;
    const { id, attempts } = await delivery(path, hasStatus('given_up'));
    assert.equal(attempts.length, DELAYS_MS.length + 1);
    receiver.answer = (_, response) => response.writeHead(204).end();
    const again = await send('POST', `${path}/webhooks/${id}/redeliver`);
    assert.equal(again.status, 202);
    assert.equal((await readJson(again)).status, 'waiting');
    const told = await delivery(path, hasStatus('delivered'));
    assert.equal(told.id, id);
    assert.equal(told.attempts.length, attempts.length + 1);
    // What was taken too: its receiver may have lost it.
    const before = receiver.received.length;
    assert.equal((await send('POST', `${path}/webhooks/${id}/redeliver`)).status, 202);
    await receiver.until(before + 1);
    assert.equal((await send('POST', `${path}/webhooks/msg_0/redeliver`)).status, 404);
  });

  test('tell of a job that came as a form, and of a comparison', async () => {
    const body = form({ model: ['fc2-mnist.onnx', ONNX] });
    body.append('webhook', JSON.stringify(hook('/form')));
    const { id } = await readJson(await post('/v1/jobs', body));
    await delivery(`/v1/jobs/${id}`, hasStatus('delivered'));
    const artifact = await send('GET', `/v1/jobs/${id}/artifacts/fc2-mnist.onnx`);
    const bytes = Buffer.from(await artifact.arrayBuffer());
    const pruned = await upload('models', { file: ['fc2-mnist.onnx', bytes] });
    const pair = { original_model_id: model_id, pruned_model_id: pruned.id };
    const compared = await send('POST', '/v1/compare', { ...pair, webhook: hook('/compare') });
    assert.equal(compared.status, 202, await compared.clone().text());
    await receiver.until(2);
    assert.deepEqual(
      receiver.received.map(({ path }) => path),
      ['/form', '/compare'],
    );
  });

  test('tell of a search, candidates that wait for the client and the end, and not of its jobs', async () => {
    const promise = { external: { direction: 'higher', max_drop: 0.1 } };
    const response = await send('POST', '/v1/searches', { model_id, promise, webhook: hook() });
    assert.equal(response.status, 202, await response.clone().text());
    const { id } = await readJson(response);
    const path = `/v1/searches/${id}`;
    const events = () => receiver.received.map((one) => verified(secret.secret, one));
    const waiting = async (candidate: number) => {
      for (let tries = 0; tries < 1000; tries++) {
        const event = events().find(({ data }) => data.candidate === candidate);
        if (event) return event;
        await sleep(20);
      }
      return assert.fail(`candidate ${candidate} was not told of: ${JSON.stringify(events())}`);
    };
    for (const candidate of [0, 1]) {
      const { type, data } = await waiting(candidate);
      assert.equal(type, 'candidate.waiting');
      assert.equal(data.id, id);
      const model = await send('GET', data.links.model);
      assert.equal(model.status, 200);
      if (candidate === 1) assert.equal((await readJson(model)).status, 'succeeded');
      const told = await send('POST', data.links.metric, { value: 1 });
      assert.equal(told.status, 200);
    }
    assert.equal((await send('POST', `${path}/cancel`)).status, 200);
    const end = await delivery(path, ({ event, status }) => event === 'end' && status === 'delivered');
    const last = events().find(({ type }) => type === 'search.canceled');
    assert.equal(last?.data.id, id);
    assert.equal(end.candidate, null);
    assert.deepEqual(new Set(events().map(({ data }) => data.id)), new Set([id]));
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    assert.equal(new Set(ids).size, ids.length);
    assert.equal((await send('DELETE', path)).status, 204);
  });

  test('are signed by both secrets while one takes the place of the other', async () => {
    const second = await readJson(await send('POST', '/v1/webhook-secrets'));
    const third = await send('POST', '/v1/webhook-secrets');
    assert.equal(third.status, 409);
    assert.match((await readProblem(third)).detail, /delete the one/);
    const text = await (await send('GET', '/v1/webhook-secrets')).text();
    assert.ok(!text.includes('whsec_'));
    assert.deepEqual(
      JSON.parse(text).data.map((one: { id: string }) => one.id),
      [secret.id, second.id],
    );
    await begin();
    const [one] = await receiver.until(1);
    for (const valid of [secret, second]) verified(valid.secret, one);
    assert.equal((await send('DELETE', `/v1/webhook-secrets/${secret.id}`)).status, 204);
    assert.equal((await send('DELETE', `/v1/webhook-secrets/${secret.id}`)).status, 404);
    await begin();
    const [, other] = await receiver.until(2);
    verified(second.secret, other);
    assert.throws(() => verified(secret.secret, other));
    secret = second;
    assert.deepEqual((await readJson(await send('GET', '/v1/webhook-secrets', undefined, {}, 'b'))).data, []);
  });

  test('are refused where they may not go, by the field', async () => {
    for (const url of ['http://127.0.0.2/', 'https://10.0.0.1/', 'https://a:b@example.com/', 'hook']) {
      const bodies = {
        '/v1/jobs': { model_id },
        '/v1/compare': { original_model_id: model_id, pruned_model_id: model_id },
        '/v1/searches': { model_id, evaluation_dataset_id, promise: { max_kl: 1 } },
      };
      for (const [path, body] of Object.entries(bodies)) {
        const response = await send('POST', path, { ...body, webhook: { url } });
        assert.equal(response.status, 422, `${path} ${url}`);
        assert.deepEqual(
          (await readProblem(response)).errors.map((one) => one.path),
          ['/webhook/url'],
        );
      }
    }
  });

  test('are part of what an idempotency key stands for', async () => {
    const ask = (webhook?: object) =>
      send('POST', '/v1/jobs', { model_id, ...(webhook && { webhook }) }, { 'idempotency-key': 'nightly' });
    const first = await readJson(await ask(hook()));
    assert.equal((await readJson(await ask(hook()))).id, first.id);
    for (const other of [undefined, hook('/other')]) {
      const refused = await ask(other);
      assert.equal((await readProblem(refused)).code, 'idempotency_key_reused');
    }
  });
});

test('a job that is canceled before it ran is told of', async () => {
  const destinations = new Destinations(['127.0.0.1']);
  const service = await openTestService({ webhooks: { destinations } });
  await using receiver = await startReceiver();
  try {
    const call = async (path: string, init: RequestInit = {}) =>
      readJson(await fetch(service.url + path, { method: 'POST', ...init }));
    const { secret } = await call('/v1/webhook-secrets');
    const body = new FormData();
    body.append('model', fileOf(ONNX), 'fc2-mnist.onnx');
    body.append('webhook', JSON.stringify({ url: receiver.url }));
    const { id } = await call('/v1/jobs', { body });
    assert.deepEqual(await service.store.listUntold(), [id]);
    await call(`/v1/jobs/${id}/cancel`);
    const [one] = await receiver.until(1);
    const { type, data } = verified(secret, one);
    assert.deepEqual([type, data.id], ['job.canceled', id]);
    for (let tries = 0; (await service.store.listUntold()).length > 0; tries++) {
      assert.ok(tries < 100);
      await sleep(20);
    }
  } finally {
    await service.close();
  }
});
