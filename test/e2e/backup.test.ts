import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { SERVICE, startServer } from '../../scripts/start-server.ts';
import { readJson } from '../http/test-app.ts';

const ONNX = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const JOBS = 5;

test('a copy of the data folder, taken while jobs wait and run, serves what had ended, and computes the others', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-backup-'));
  context.after(() => rm(directory, { recursive: true, maxRetries: 5 }));
  const [data, backup] = [join(directory, 'data'), join(directory, 'backup')];
  const submitted: string[] = [];
  {
    await using server = await startServer(SERVICE, { DATA_DIR: data });
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(ONNX)]), 'fc2-mnist.onnx');
    const model = await readJson(await fetch(`${server.baseUrl}/v1/models`, { method: 'POST', body: form }));
    const submit = async (beta: number, wait: string) => {
      const response = await fetch(`${server.baseUrl}/v1/jobs`, {
        method: 'POST',
        body: JSON.stringify({ model_id: model.id, recipe: { beta } }),
        headers: { 'content-type': 'application/json', prefer: wait },
      });
      submitted.push((await readJson(response)).id);
    };
    await submit(1, 'wait=60');
    const later = Array.from({ length: JOBS - 1 }, (_, i) => submit(0.9 - i / 10, 'wait=0'));
    await Promise.all(later.slice(0, 2));
    const isKept = (path: string) => !/^(queue|uploads)(\/|$)/.test(relative(data, path));
    await cp(data, backup, { recursive: true, filter: isKept });
    await Promise.all(later);
  }
  await using server = await startServer(SERVICE, { DATA_DIR: backup });
  const { data: jobs } = await readJson(await fetch(`${server.baseUrl}/v1/jobs`));
  assert.ok(jobs.length >= 1 && jobs.length <= JOBS, `${jobs.length}`);
  for (const { id } of jobs) {
    assert.ok(submitted.includes(id));
    const response = await fetch(`${server.baseUrl}/v1/jobs/${id}/events`);
    assert.match(await response.text(), /event: succeeded/);
    const { artifacts } = await readJson(await fetch(`${server.baseUrl}/v1/jobs/${id}`));
    for (const { name, sha256 } of artifacts) {
      const file = await fetch(`${server.baseUrl}/v1/jobs/${id}/artifacts/${name}`);
      const digest = createHash('sha256')
        .update(Buffer.from(await file.arrayBuffer()))
        .digest('hex');
      assert.equal(digest, sha256, `${name} of ${id}`);
    }
  }
});
