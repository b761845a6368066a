import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openAsBlob } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createEndlessForm } from '../../scripts/chaos/workload.ts';
import { readBaseUrl, SERVICE } from '../../scripts/start-server.ts';
import { addKey } from '../../src/access/key-file.ts';
import { readJson } from '../http/test-app.ts';
import { writeSmallModel } from '../models/small-safetensors.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';

/** Names and numbers that nothing else has. */
const TENSOR = 'secret_tower.blocks.7.weight';
const SCORES = [0.123456789, 0.987654321, 0.555444333, 0.271828182, 0.314159265, 0.161803398];

interface Line {
  readonly pid: number;
  readonly level: number;
  readonly msg: string;
  readonly job?: string;
  readonly request_id?: string;
  readonly [field: string]: unknown;
}

interface Entry {
  readonly event: string;
  readonly attempt: number | null;
  readonly stage: string | null;
  readonly request_id: string | null;
  readonly worker: { readonly pid: number } | null;
  readonly detail: string | null;
  readonly code: string | null;
}

describe('a service that logs', () => {
  let redis: Service;
  let directory: string;
  let key: string;
  let child: ChildProcess;
  let url: string;
  let said = '';
  before(async () => {
    redis = await startRedis();
    directory = await mkdtemp(join(tmpdir(), 'emp-log-lines-'));
    const keys = join(directory, 'keys.json');
    key = await addKey(keys, { name: 'test', tenant: null, scopes: ['read', 'write'] });
    child = spawn(process.execPath, [fileURLToPath(SERVICE)], {
      env: {
        ...process.env,
        ...{ PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'info', REDIS_URL: redis.url },
        ...{ DATA_DIR: join(directory, 'data'), API_KEYS_FILE: keys },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr?.on('data', (text) => {
      said += text;
    });
    url = await readBaseUrl(child);
  });
  after(async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await redis.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  const send = (path: string, requestId: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${key}`, 'x-request-id': requestId, ...init.headers };
    return fetch(`${url}${path}`, { ...init, headers });
  };
  const lines = (): Line[] =>
    said
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  const logOf = async (id: string): Promise<Entry[]> =>
    (await readJson(await send(`/v1/jobs/${id}/logs`, 'asks-for-logs'))).data;

  async function scoredForm(): Promise<FormData> {
    const tensor = { name: TENSOR, dtype: 'float32', shape: [2, 3] } as const;
    await using model = await writeSmallModel([{ ...tensor, values: SCORES }]);
    const form = new FormData();
    for (const part of ['model', 'scores'])
      form.append(part, new Blob([await readFile(model.path)]), `${part}.safetensors`);
    form.append('recipe', JSON.stringify({ criterion: 'scores', scope: 'layer' }));
    return form;
  }

  test('names job and request in every line about a job, of the API, the worker and the child', async () => {
    const post = { method: 'POST', body: await scoredForm(), headers: { prefer: 'wait=60' } };
    const response = await send('/v1/jobs', 'req-scores', post);
    const job = await readJson(response);
    assert.equal(job.status, 'succeeded', JSON.stringify(job));
    const isRequest = ({ msg, url: path }: Line) => msg === 'request' && path === '/v1/jobs';
    while (!lines().some(({ msg }) => msg === 'job done') || !lines().some(isRequest)) await sleep(20);
    const about = lines().filter((line) => line.job === job.id);
    for (const line of about) assert.equal(line.request_id, 'req-scores', JSON.stringify(line));
    const { pid = 0 } = child;
    const saidBy = (isChild: boolean) =>
      about.filter((line) => (line.pid !== pid) === isChild).map(({ msg }) => msg);
    assert.deepEqual(saidBy(false), ['job submitted', 'job done']);
    assert.deepEqual(saidBy(true), ['computing', 'computed']);
    assert.equal(lines().find(isRequest)?.request_id, 'req-scores');
    for (const line of lines()) {
      assert.ok(!('reqId' in line || 'jobId' in line || 'job_id' in line), JSON.stringify(line));
      if (line.msg === 'request') assert.ok(line.request_id);
    }
  });

  test('tells of a job whose child was killed both attempts, in its log and in its lines', async () => {
    const form = createEndlessForm();
    const job = await readJson(await send('/v1/jobs', 'req-killed', { method: 'POST', body: form }));
    const computing = () => lines().filter((line) => line.job === job.id && line.msg === 'computing');
    while (computing().length === 0) await sleep(20);
    await sleep(300);
    process.kill(computing()[0].pid, 'SIGKILL');
    while (computing().length < 2) await sleep(20);
    await send(`/v1/jobs/${job.id}/cancel`, 'req-cancel', { method: 'POST' });
    const entries = await logOf(job.id);
    const events = entries.filter(({ event }) => event !== 'stage');
    assert.deepEqual(
      events.slice(0, 5).map(({ event, attempt }) => [event, attempt]),
      [
        ['submitted', null],
        ['started', 1],
        ['child_ended', 1],
        ['attempt_failed', 1],
        ['started', 2],
      ],
    );
    assert.deepEqual([events.at(-1)?.event, events.at(-1)?.code], ['ended', 'canceled']);
    assert.equal(events[0].request_id, 'req-killed');
    assert.equal(events[1].worker?.pid, child.pid);
    assert.match(events[2].detail ?? '', /SIGKILL/);
    assert.ok(entries.some(({ event, attempt }) => event === 'stage' && attempt === 1));
    const failed = lines().find(({ msg, job: about }) => msg === 'attempt failed' && about === job.id);
    assert.equal(failed?.request_id, 'req-killed');
  });

  test('takes a request that is sent again, under another id, for the same', async () => {
    const submit = async (requestId: string) => {
      const form = new FormData();
      const path = new URL('../../examples/fc2-mnist.onnx', import.meta.url);
      form.append('model', await openAsBlob(path), 'fc2-mnist.onnx');
      const headers = { 'idempotency-key': 'again', prefer: 'wait=60' };
      const response = await send('/v1/jobs', requestId, { method: 'POST', body: form, headers });
      return [response.headers.get('idempotency-replayed'), (await readJson(response)).id] as const;
    };
    const [, id] = await submit('first');
    assert.deepEqual(await submit('second'), ['true', id]);
    assert.equal((await logOf(id))[0].request_id, 'first');
    assert.equal((await send('/v1/jobs/job_0000000000/logs', 'none')).status, 404);
  });

  test('says no key, no name of a tensor and no score', async () => {
    // What has not been said is said as it ends.
    child.kill('SIGTERM');
    await once(child, 'exit');
    assert.ok(lines().length > 10);
    const shortest = SCORES.map((score) => String(score).slice(2, 9));
    const stored = SCORES.map((score) => String(Math.fround(score)).slice(2, 9));
    for (const secret of [key, key.slice(-20), TENSOR, 'secret_tower', ...shortest, ...stored])
      assert.ok(!said.includes(secret), `${secret} is in the log`);
  });
});
