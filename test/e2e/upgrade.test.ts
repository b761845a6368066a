import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SERVICE, type Server, startServer } from '../../scripts/start-server.ts';
import { readJson } from '../http/test-app.ts';

/**
 * What the service of commit 154a446 wrote, the last one without tenants, without its queue: `writeMlp([6, 12, 8, 3], 60)` of test/models/small-mlp.ts and its samples, a job of both under the key
 * `nightly`, and a search that failed.
 */
const FOLDER = fileURLToPath(new URL('data-before-tenants.tar.gz', import.meta.url));
const IDS = {
  model_id: 'mdl_gtkdfn6kz8epx7jjtxqa3tjzsm',
  evaluation_dataset_id: 'dat_2vxzgchp8dtkpyfxfwn01pry50',
};
const [JOB, SEARCH] = ['job_01m8ry6m7b5r5wes2berygscyn', 'sea_01m8ry6p7d38z5s2e1e9qtg50w'];

describe('a data folder of the version before tenants', () => {
  let directory: string;
  let server: Server;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-upgrade-'));
    await promisify(execFile)('tar', ['xzf', FOLDER, '-C', directory]);
    server = await startServer(SERVICE, { DATA_DIR: directory });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, maxRetries: 5 });
  });

  const get = (path: string) => fetch(`${server.baseUrl}/v1${path}`);
  const submit = (body: object, headers: Record<string, string>) =>
    fetch(`${server.baseUrl}/v1/jobs`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', prefer: 'wait=60', ...headers },
    });

  test('is read and served: lists, models, data, a search, and the artifacts of a job byte for byte', async () => {
    for (const [kind, id] of [
      ['models', IDS.model_id],
      ['datasets', IDS.evaluation_dataset_id],
      ['jobs', JOB],
      ['searches', SEARCH],
    ]) {
      assert.equal((await get(`/${kind}/${id}`)).status, 200);
      const { data } = await readJson(await get(`/${kind}`));
      assert.ok(
        data.some((entry: { id: string }) => entry.id === id),
        `no ${id} in the list`,
      );
      assert.equal((await get(`/${kind}/${id}/retention`)).status, 200);
    }
    const job = await readJson(await get(`/jobs/${JOB}`));
    assert.equal(job.status, 'succeeded');
    assert.ok(job.artifacts.length > 3);
    for (const { name, sha256 } of job.artifacts) {
      const bytes = Buffer.from(await (await get(`/jobs/${JOB}/artifacts/${name}`)).arrayBuffer());
      assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256, name);
    }
    assert.equal((await get(`/jobs/${JOB}/report`)).status, 200);
    assert.deepEqual(await readJson(await get(`/jobs/${JOB}/logs`)).then(Object.keys), ['data']);
  });

  test('its idempotency key still stands for its job', async () => {
    const response = await submit(IDS, { 'idempotency-key': 'nightly' });
    assert.equal(response.headers.get('idempotency-replayed'), 'true');
    assert.equal((await readJson(response)).id, JOB);
  });

  test('what it holds is counted', async () => {
    const files = ['models', 'datasets', 'jobs'].map(async (kind) => {
      const entries = await readdir(join(directory, kind), { recursive: true, withFileTypes: true });
      const ours = entries.filter(
        (entry) => entry.isFile() && /\/(files|artifacts)(\/|$)/.test(entry.parentPath),
      );
      return Promise.all(ours.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
    });
    const sizes = (await Promise.all(files)).flat();
    const { bytes } = await readJson(await get('/usage'));
    assert.equal(
      bytes.used,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  });

  test('its model is pruned, and can be deleted', async () => {
    const job = await readJson(await submit({ model_id: IDS.model_id }, {}));
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    for (const path of [
      `/models/${IDS.model_id}`,
      `/datasets/${IDS.evaluation_dataset_id}`,
      `/searches/${SEARCH}`,
    ])
      assert.equal((await fetch(`${server.baseUrl}/v1${path}`, { method: 'DELETE' })).status, 204, path);
  });
});
