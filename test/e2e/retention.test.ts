import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE, startServer } from '../../scripts/start-server.ts';
import { FolderStores } from '../../src/storage/stores.ts';
import { readJson } from '../http/test-app.ts';

const DAY_MS = 24 * 3600 * 1000;
const [OLD, PINNED, YOUNG] = ['mdl_0000000001', 'mdl_0000000002', 'mdl_0000000003'];

test('a service removes what is old soon after its start, of all tenants, and tells when what is left goes', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-retention-'));
  context.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const stores = await FolderStores.open(directory);
  const put = async (tenant: string | null, id: string, days: number, document: object | null) => {
    const store = await stores.of(tenant);
    const upload = await store.createUpload();
    await writeFile(join(upload.files, 'model.onnx'), 'model');
    const created_at = new Date(Date.now() - days * DAY_MS).toISOString();
    const file = { name: 'model.onnx', size_bytes: 5, sha256: '0'.repeat(64) };
    const record = {
      id,
      created_at,
      name: file.name,
      format: 'onnx',
      files: [file],
      n_parameters: 0,
      size_bytes: 5,
    };
    await store.publish('models', upload, { ...record, sha256: file.sha256 });
    if (document) await store.writeText('models', id, 'pin.json', JSON.stringify(document));
    return created_at;
  };
  for (const tenant of [null, 'acme']) {
    await put(tenant, OLD, 8, null);
    await put(tenant, PINNED, 800, { pinned: true });
  }
  const created_at = await put(null, YOUNG, 3, null);
  await stores.close();
  await using server = await startServer(SERVICE, { DATA_DIR: directory, RETENTION_MODELS_DAYS: '7' });
  const ids = async () =>
    (await readJson(await fetch(`${server.baseUrl}/v1/models`))).data.map(({ id }: { id: string }) => id);
  for (const end = Date.now() + 30_000; (await ids()).includes(OLD); await sleep(50))
    assert.ok(Date.now() < end, 'what is old is still there');
  assert.deepEqual(await ids(), [YOUNG, PINNED]);
  const retention = async (id: string) =>
    readJson(await fetch(`${server.baseUrl}/v1/models/${id}/retention`));
  const expires_at = new Date(Date.parse(created_at) + 7 * DAY_MS).toISOString();
  assert.deepEqual(await retention(YOUNG), { pinned: false, expires_at });
  assert.deepEqual(await retention(PINNED), { pinned: true, expires_at: null });
  const others = await FolderStores.open(directory);
  const acme = await others.of('acme');
  for (const end = Date.now() + 30_000; await acme.readRecord('models', OLD); await sleep(50))
    assert.ok(Date.now() < end, "a tenant's is still there");
  assert.ok(await acme.readRecord('models', PINNED));
  await others.close();
});
