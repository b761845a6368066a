import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BOUNDS } from '../../scripts/fuzz/arena.ts';
import { HealthWatch } from '../../scripts/fuzz/health-watch.ts';
import { SERVICE, startServer } from '../../scripts/start-server.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';

const IDLE = new URL('../../scripts/fuzz/idle-server.ts', import.meta.url);
/** As many as the largest of today's models has. */
const TENSORS = 100_000;
const CLIENTS = 4;
const MODEL = { id: 'mdl_0123456789', created_at: '2026-01-01T00:00:00.000Z', format: 'onnx' };
const JOB = {
  id: 'job_0123456789abcdefghjkmnpqrs',
  created_at: MODEL.created_at,
  model_id: MODEL.id,
  scores_dataset_id: null,
  recipe: {},
  metadata: {},
  request_sha256: '0',
};

/** A data directory with a model of many tensors, and a job of it. */
async function fill(directory: string): Promise<void> {
  const tensors = Array.from({ length: TENSORS }, (_, i) => {
    return { name: `layers.${i}.weight`, shape: [2, 2], dtype: 'float32', role: 'weight', prunable: true };
  });
  const store = await FolderStore.open(directory);
  const model = await store.createUpload();
  await model.writeJson('inventory.json', { tensors });
  await model.writeJson('tensors.json', tensors);
  await store.publish('models', model, MODEL);
  const text = JSON.stringify({ schema_version: 1, tensors }, null, 2);
  const job = await store.createUpload();
  await writeFile(join(job.files, 'report.json'), text);
  await job.writeJson('result.json', {
    status: 'succeeded',
    started_at: JOB.created_at,
    finished_at: JOB.created_at,
    error: null,
    summary: null,
    artifacts: [
      { name: 'report.json', media_type: 'application/json', size_bytes: text.length, sha256: '0' },
    ],
    timings_ms: { score: 1 },
  });
  await store.publish('jobs', job, JOB);
  await store.close();
}

test('whoever reads of very many tensors holds nobody up', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-large-'));
  await fill(directory);
  await using server = await startServer(SERVICE, { DATA_DIR: directory, LOG_LEVEL: 'fatal' });
  await using idle = await startServer(IDLE, {});
  await using health = new HealthWatch(`${server.baseUrl}/healthz`, `${idle.baseUrl}/healthz`);
  for (const path of [`/v1/models/${MODEL.id}`, `/v1/jobs/${JOB.id}/report`])
    await t.test(path, async () => {
      health.reset();
      const bodies = await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          const response = await fetch(server.baseUrl + path);
          assert.equal(response.status, 200);
          return new Uint8Array(await response.arrayBuffer());
        }),
      );
      const [longestMs = Number.NaN, idleMs = Number.NaN] = health.longestMs();
      const [first] = bodies;
      const whole = JSON.parse(Buffer.from(first ?? []).toString());
      assert.equal(whole.tensors.length, TENSORS);
      assert.ok(longestMs - idleMs < BOUNDS.healthMs, `${longestMs} ms, an idle server ${idleMs} ms`);
    });
});
