import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { HealthWatch } from '../../scripts/fuzz/health-watch.ts';
import { SERVICE, startServer } from '../../scripts/start-server.ts';
import type { SearchRecord } from '../../src/jobs/search-lines.ts';
import { linesOf, searchShape } from '../../src/recipe/lines.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { HEALTH_MS } from './open-arena.ts';

const IDLE = new URL('../../scripts/fuzz/idle-server.ts', import.meta.url);
const READERS = 40;
const PAGE = 100;
const METADATA = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`key ${i}`, 'x'.repeat(512)]));
const END = {
  status: 'canceled',
  started_at: null,
  finished_at: '2026-01-02T00:00:00.000Z',
  error: null,
  progress: [],
};

const MASS = { preserved_mass: 1, preserved_mass_bound: null };

/** A page of searches with lines, and of jobs with figures, all of which have ended. */
async function fill(directory: string): Promise<void> {
  const store = await FolderStore.open(directory);
  const terms = z.strictObject(searchShape).parse({ promise: { max_loss_increase: 0.01 } });
  const lines = linesOf(terms, true).map((recipe) => ({ recipe, lane: 'long' as const }));
  const data = { calibration_dataset_id: null, evaluation_dataset_id: 'dst_0123456789', metadata: METADATA };
  for (let i = 0; i < PAGE; i++) {
    const created_at = new Date(Date.UTC(2026, 0, 1, 0, 0, i)).toISOString();
    const tail = String(i).padStart(26, '0');
    const base = { created_at, model_id: 'mdl_0123456789', priority: 4, ...data };
    const search: SearchRecord = { id: `sea_${tail}`, ...base, terms, lines, left_out: [] };
    const ofSearch = await store.createUpload();
    await ofSearch.writeJson('result.json', END);
    await store.publish('searches', ofSearch, search);
    const job = { id: `job_${tail}`, ...base, scores_dataset_id: null, recipe: {}, request_sha256: '0' };
    const ofJob = await store.createUpload();
    const summary = { n: 1, n_keep: 1, sparsity: i / PAGE, n_eff: 1, ...MASS };
    await ofJob.writeJson('result.json', {
      ...END,
      status: 'succeeded',
      summary,
      artifacts: [],
      timings_ms: {},
    });
    await store.publish('jobs', ofJob, job);
  }
  await store.close();
}

test('a crowd that reads lists holds nobody up', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-lists-'));
  await fill(directory);
  await using server = await startServer(SERVICE, { DATA_DIR: directory, LOG_LEVEL: 'fatal' });
  await using idle = await startServer(IDLE, {});
  await using health = new HealthWatch(`${server.baseUrl}/healthz`, `${idle.baseUrl}/healthz`);
  for (const list of ['searches?', 'jobs?', 'jobs?sort=-sparsity&'])
    await t.test(list, async () => {
      health.reset();
      const read = async () => {
        const response = await fetch(`${server.baseUrl}/v1/${list}limit=${PAGE}`);
        assert.equal(response.status, 200);
        const { data } = (await response.json()) as { data: unknown[] };
        assert.ok(data.length > 0);
      };
      await Promise.all(Array.from({ length: READERS }, read));
      const [longestMs = Number.NaN, idleMs = Number.NaN] = health.longestMs();
      assert.ok(longestMs - idleMs < HEALTH_MS, `${longestMs} ms, an idle server ${idleMs} ms`);
    });
});
