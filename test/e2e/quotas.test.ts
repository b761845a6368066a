import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE, type Server, startServer } from '../../scripts/start-server.ts';
import { addKey } from '../../src/access/key-file.ts';
import { readJson } from '../http/test-app.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { type RedisService, startRedis } from '../services/redis.ts';

const ONNX = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const MIB = 2 ** 20;
/** Of values, of which each model of these tests has one tensor. */
const QUARTER_MIB = 2 ** 16;
/** A changed file counts within two seconds. */
const SEEN_MS = 2500;
const NO_LIMITS = { bytes: null, waiting_jobs: null, running_jobs: null, searches_per_day: null };

describe('two API processes on one Redis and one data directory', () => {
  let directory: string;
  let redis: RedisService;
  let apis: Server[];
  const keys: Record<string, string> = {};
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-quotas-'));
    redis = await startRedis();
    const [keyFile, quotaFile] = [join(directory, 'keys.json'), join(directory, 'quotas.json')];
    for (const tenant of ['bytes', 'jobs', 'searches', 'rate', 'free'])
      keys[tenant] = await addKey(keyFile, { name: tenant, tenant, scopes: ['read', 'write'] });
    await writeFile(
      quotaFile,
      JSON.stringify({
        default: { requests_per_minute: 10_000 },
        tenants: {
          bytes: { bytes: 5 * MIB },
          jobs: { waiting_jobs: 12 },
          searches: { searches_per_day: 4 },
          rate: { requests_per_minute: 50 },
        },
      }),
    );
    const settings = {
      DATA_DIR: join(directory, 'data'),
      REDIS_URL: redis.url,
      API_KEYS_FILE: keyFile,
      QUOTAS_FILE: quotaFile,
    };
    apis = await Promise.all([0, 1].map(() => startServer(SERVICE, settings, 'api')));
  });
  after(async () => {
    for (const api of apis) await api[Symbol.asyncDispose]();
    await redis.stop();
    await rm(directory, { recursive: true, force: true });
  });

  let turn = 0;
  /** From one process and the other in turn. */
  const ask = (tenant: string, path: string, init: RequestInit = {}) =>
    fetch(`${apis[turn++ % apis.length].baseUrl}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${keys[tenant]}`, ...init.headers },
    });
  const post = (tenant: string, path: string, body: object) =>
    ask(tenant, path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
  const upload = (tenant: string, content: Uint8Array, name = 'model.safetensors') => {
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(content)]), name);
    return ask(tenant, '/v1/models', { method: 'POST', body: form });
  };
  const usage = async (tenant: string) => readJson(await ask(tenant, '/v1/usage'));
  const countOf = async (answers: readonly Response[], status: number) =>
    answers.filter((answer) => answer.status === status).length;

  test('bytes: uploads at the same time take no more than there is, and nearly all of it; what is deleted is free', async () => {
    const models = Array.from({ length: 40 }, (_, i) =>
      createSafetensors({ [`weight-${i}`]: [QUARTER_MIB] }),
    );
    const answers: Response[] = [];
    for (let i = 0; i < models.length; i += 8)
      answers.push(...(await Promise.all(models.slice(i, i + 8).map((model) => upload('bytes', model)))));
    const stored = await countOf(answers, 201);
    assert.equal(stored + (await countOf(answers, 429)), models.length);
    const { bytes } = await usage('bytes');
    assert.equal(bytes.limit, 5 * MIB);
    assert.ok(bytes.used <= bytes.limit && bytes.used >= 0.9 * bytes.limit, `${bytes.used}`);
    assert.ok(stored * QUARTER_MIB * 4 <= bytes.used);
    const [refused] = answers.filter(({ status }) => status === 429);
    const problem = await readJson(refused);
    assert.equal(problem.code, 'quota_exceeded');
    assert.match(problem.detail, /delete models, datasets or jobs/);
    // A job has artifacts, which nobody knows beforehand: at the limit there is none.
    const [first] = (await readJson(await ask('bytes', '/v1/models'))).data;
    assert.equal((await ask('bytes', `/v1/models/${first.id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await usage('bytes')).bytes.used, bytes.used - first.size_bytes);
    assert.equal((await upload('bytes', models[models.length - 1])).status, 201);
    assert.equal((await upload('free', models[0])).status, 201);
  });

  test('jobs that wait: no more than may, whoever asks', async () => {
    const { id: model_id } = await readJson(await upload('jobs', ONNX, 'fc2-mnist.onnx'));
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => post('jobs', '/v1/jobs', { model_id })),
    );
    const accepted = await countOf(answers, 202);
    assert.ok(accepted <= 12 && accepted >= 11, `${accepted}`);
    assert.equal(accepted + (await countOf(answers, 429)), answers.length);
    assert.deepEqual((await usage('jobs')).waiting_jobs, { used: accepted, limit: 12 });
    const [job] = (await readJson(await ask('jobs', '/v1/jobs'))).data;
    assert.equal((await post('jobs', `/v1/jobs/${job.id}/cancel`, {})).status, 200);
    assert.equal((await post('jobs', '/v1/jobs', { model_id })).status, 202);
  });

  test('searches of a day: no more than may, and none is left of one that was refused', async () => {
    const { id: model_id } = await readJson(await upload('searches', ONNX, 'fc2-mnist.onnx'));
    const form = new FormData();
    for (const [part, name] of [
      ['inputs', 'evaluation_inputs'],
      ['labels', 'evaluation_labels'],
    ])
      form.append(
        part,
        new Blob([await readFile(new URL(`../../examples/mnist/${name}.npy`, import.meta.url))]),
        `${name}.npy`,
      );
    const data = await ask('searches', '/v1/datasets', { method: 'POST', body: form });
    const { id: evaluation_dataset_id } = await readJson(data);
    const asked = { model_id, evaluation_dataset_id, promise: { max_loss_increase: 0.01 } };
    const answers: Response[] = [];
    for (let i = 0; i < 6; i++) answers.push(await post('searches', '/v1/searches', asked));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [202, 202, 202, 202, 429, 429],
    );
    assert.equal((await readJson(await ask('searches', '/v1/searches'))).data.length, 4);
    assert.equal((await usage('searches')).searches_per_day.used, 4);
  });

  test('requests of a key: counted over both, told in every answer, and when to come again', async () => {
    const answers = await Promise.all(Array.from({ length: 80 }, () => ask('rate', '/v1/models')));
    assert.equal(await countOf(answers, 200), 50);
    const refused = answers.filter(({ status }) => status === 429);
    assert.equal(refused.length, 30);
    for (const { headers } of refused) {
      const seconds = Number(headers.get('retry-after'));
      assert.ok(seconds >= 1 && seconds <= 60, `${seconds}`);
      assert.equal(headers.get('ratelimit-limit'), '50');
      assert.equal(headers.get('ratelimit-remaining'), '0');
    }
    const problem = await readJson(refused[0]);
    assert.equal(problem.code, 'rate_limited');
    assert.match(problem.detail, /^key rate may ask 50 times a minute, and has: come again in \d+ s$/);
    assert.equal((await ask('free', '/v1/models')).status, 200);
    for (const { baseUrl } of apis) assert.equal((await fetch(`${baseUrl}/healthz`)).status, 200);
  });

  test('the file is read again when it changes, and one that cannot be used changes nothing', async () => {
    const file = join(directory, 'quotas.json');
    await writeFile(file, JSON.stringify({ default: { bytes: 1 } }));
    await sleep(SEEN_MS);
    assert.deepEqual((await usage('free')).bytes.limit, 1);
    assert.equal((await upload('free', createSafetensors({ other: [4] }))).status, 429);
    await writeFile(file, JSON.stringify({ default: { bytes: -1 } }));
    await sleep(SEEN_MS);
    assert.deepEqual((await usage('free')).bytes.limit, 1);
    await writeFile(file, JSON.stringify({ default: NO_LIMITS }));
    await sleep(SEEN_MS);
    assert.equal((await upload('free', createSafetensors({ other: [4] }))).status, 201);
  });
});
