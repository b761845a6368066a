import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openFileSource } from '../../src/formats/file-source.ts';
import { readModelInventory } from '../../src/graph/inventory.ts';
import { connectBackend } from '../../src/jobs/backends/connect.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { OUTCOME_FILE } from '../../src/pipeline/artifact-names.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import type { ModelRecord } from '../../src/storage/records.ts';
import type { Store } from '../../src/storage/store.ts';
import { startRedis } from '../services/redis.ts';
import { onlyStore, openJobs, publishModel } from './open-jobs.ts';
import { LIMITS, log, request } from './site.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-processor-'));
});
after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));

/** One float32 matrix `[2, 4]` named as a layer's weight. */
function safetensors(): Buffer {
  const values = new Float32Array([1, 1, 1, 1, 0.5, 0, 0, 0]);
  const layer = { dtype: 'F32', shape: [2, 4], data_offsets: [0, values.byteLength] };
  const header = JSON.stringify({ 'layer.weight': layer }).padEnd(128);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), Buffer.from(values.buffer)]);
}

async function storeModel(store: Store): Promise<ModelRecord> {
  const upload = await store.createUpload();
  const bytes = safetensors();
  const name = 'tiny.safetensors';
  const path = join(upload.files, name);
  await writeFile(path, bytes);
  await using source = await openFileSource(path);
  const inventory = await readModelInventory(new Map([[name, source]]));
  await upload.writeJson('inventory.json', inventory);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const file = { name, size_bytes: bytes.byteLength, sha256 };
  const { record } = await store.publish<ModelRecord>('models', upload, {
    id: 'mdl_2222222222',
    created_at: new Date().toISOString(),
    format: 'safetensors',
    n_parameters: 8,
    ...file,
    files: [file],
  });
  return record;
}

test('a child prunes a stored model into the artifacts its result names, and leaves no code to be run', async () => {
  const redis = await startRedis();
  const store = await FolderStore.open(join(directory, 'data'));
  const backend = await connectBackend({ redisUrl: redis.url, dataDirectory: store.root });
  // The operator's own, for the service.
  const codeCache = join(directory, 'code');
  process.env.NODE_COMPILE_CACHE = codeCache;
  const jobs = await openJobs({ store, backend, log });
  const worker = await startWorkers({
    stores: onlyStore(store),
    backend,
    concurrency: 1,
    limits: LIMITS,
    log,
  });
  try {
    const model = await storeModel(store);
    const { job } = await jobs.submit(request({}, model.id));
    const done = await jobs.wait(job.id, 20_000);
    assert.equal(done?.status, 'succeeded', JSON.stringify(done?.error));
    // N_eff of four ones and a half, as a distribution over five: (4.5)^2 / 4.25 = 4.76.
    assert.equal(done.summary?.n, 8);
    assert.equal(done.summary.n_keep, 4);
    const folder = join(store.root, 'jobs', job.id, 'artifacts');
    const names = [OUTCOME_FILE, ...done.artifacts.map(({ name }) => name)];
    assert.deepEqual((await readdir(folder)).sort(), names.sort());
    for (const { name, size_bytes, sha256 } of done.artifacts) {
      const bytes = await readFile(join(folder, name));
      assert.equal(bytes.byteLength, size_bytes);
      assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256);
    }
    await publishModel(store, 'mdl_9999999999');
    await jobs.submit(request({}, 'mdl_9999999999'));
    await store.remove('models', 'mdl_9999999999');
    const [missing] = (await jobs.list(1)).data;
    assert.equal((await jobs.wait(missing.id, 20_000))?.error?.code, 'not_found');
    await assert.rejects(jobs.submit(request({}, 'mdl_9999999999')), { code: 'not_found' });
    assert.equal((await jobs.list(1)).data[0].id, missing.id, 'nothing is left of what was refused');
    // What one job's process writes there, the next one would run.
    assert.equal(existsSync(codeCache), false);
    const kinds = ['datasets', 'idempotency', 'index', 'jobs', 'models', 'searches', 'secrets', 'uploads'];
    assert.deepEqual(
      (await readdir(store.root)).filter((name) => !kinds.includes(name)),
      [],
    );
  } finally {
    delete process.env.NODE_COMPILE_CACHE;
    await worker.close();
    await jobs.close();
    await backend.close();
    await store.close();
    await redis.stop();
  }
});
