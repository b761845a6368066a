import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { createZip } from '../formats/archive-bytes.ts';
import { createFloatNpy } from '../formats/npy-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
before(async () => {
  service = await openTestApp({ maxUploadBytes: 100_000 });
});
after(() => service.close());
afterEach(async () => {
  const { data } = await readJson(await service.fetch('/v1/datasets'));
  for (const { id } of data) await service.fetch(`/v1/datasets/${id}`, { method: 'DELETE' });
  assert.deepEqual(await service.files(), []);
});

function upload(part: string, name: string, content: Uint8Array): Promise<Response> {
  const form = new FormData();
  form.append(part, fileOf(content), name);
  return service.fetch('/v1/datasets', { method: 'POST', body: form });
}

const npz = createZip([
  { name: 'fc/weight.npy', content: createFloatNpy([1, 2, 3, 4], '(2, 2)') },
  { name: '../b.npy', content: createFloatNpy([5, 6]), deflate: true },
]);

test('safetensors and npz give one array per tensor', async () => {
  for (const [name, content, arrays] of [
    [
      's.safetensors',
      createSafetensors({ 'fc.weight': [2, 3] }),
      [{ name: 'fc.weight', shape: [2, 3], dtype: 'float32' }],
    ],
    [
      's.npz',
      npz,
      [
        { name: 'fc/weight', shape: [2, 2], dtype: 'float32' },
        { name: '../b', shape: [2], dtype: 'float32' },
      ],
    ],
  ] as const) {
    const response = await upload('scores', name, content);
    assert.equal(response.status, 201);
    const dataset = await readJson(response);
    assert.equal(response.headers.get('location'), `/v1/datasets/${dataset.id}`);
    assert.deepEqual([dataset.kind, dataset.arrays, dataset.size_bytes], ['scores', arrays, content.length]);
    assert.deepEqual(await readJson(await service.fetch(`/v1/datasets/${dataset.id}`)), dataset);
    const again = await upload('scores', name, content);
    assert.equal(again.status, 200);
    assert.deepEqual(await readJson(again), dataset);
  }
});

test("a list tells of datasets without their arrays, an earlier version's too", async () => {
  await upload('scores', 's.npz', npz);
  const arrays = [{ name: 'w', shape: [2], dtype: 'float32' }];
  const older = {
    id: 'dat_0123456789',
    kind: 'scores',
    sha256: '0',
    size_bytes: 8,
    created_at: '2026-01-01T00:00:00.000Z',
  };
  const files = await service.store.createUpload();
  await service.store.publish('datasets', files, { ...older, arrays });
  const { data } = await readJson(await service.fetch('/v1/datasets'));
  assert.deepEqual(Object.keys(data[0]), Object.keys(older));
  assert.deepEqual(data[1], older);
  assert.deepEqual(await readJson(await service.fetch(`/v1/datasets/${older.id}`)), { ...older, arrays });
});

test('a stored array is where arrays.json says', async () => {
  const { id } = await readJson(await upload('scores', 's.npz', npz));
  const arrays = await service.store.readJson<{ range: { path: string } }[]>('datasets', id, 'arrays.json');
  const files = await service.files();
  for (const { range } of arrays ?? [])
    assert.ok(files.includes(`datasets/${id}/files/${range.path}`), range.path);
});

const refused: [string, string, string, Uint8Array, number, string][] = [
  ['another part, naming those there are', 'data', 'x.npy', createFloatNpy([1]), 422, 'invalid_request'],
  ['another format', 'scores', 's.npy', createFloatNpy([1]), 415, 'unsupported_media_type'],
  ['a broken npz', 'scores', 's.npz', npz.subarray(0, 100), 422, 'malformed_npz'],
  ['a broken array', 'scores', 's.npz', createZip([{ name: 'a.npy', content: 'no' }]), 422, 'malformed_npy'],
  ['a broken safetensors', 'scores', 's.safetensors', new Uint8Array(9), 422, 'malformed_safetensors'],
  ['no arrays', 'scores', 's.safetensors', createSafetensors({}), 422, 'invalid_request'],
  [
    'a bomb',
    'scores',
    's.npz',
    createZip([{ name: 'a.npy', content: Buffer.alloc(200_000), deflate: true }]),
    413,
    'payload_too_large',
  ],
];
for (const [what, part, name, content, status, code] of refused) {
  test(`refuses ${what}`, async () => {
    const response = await upload(part, name, content);
    const problem = await readProblem(response);
    assert.deepEqual([response.status, problem.code], [status, code], problem.detail);
    if (part !== 'scores') assert.match(problem.detail, /scores/);
  });
}
