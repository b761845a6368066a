import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { request as openRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { createZip } from '../formats/archive-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { watchDiscards } from './discarded-uploads.ts';
import { fileOf, openTestApp, readProblem, type TestApp } from './test-app.ts';

const PLACES = [
  ['/v1/models', 'file', 'm.safetensors'],
  ['/v1/datasets', 'inputs', 'x.npy'],
  ['/v1/jobs', 'model', 'm.safetensors'],
] as const;

function post(service: TestApp, path: string, part: string, name: string, content: Uint8Array) {
  const form = new FormData();
  form.append(part, fileOf(content), name);
  return service.fetch(path, { method: 'POST', body: form });
}

/** With a chunked body, which announces no length. */
async function postUnannounced(
  service: TestApp,
  path: string,
  part: string,
  name: string,
  byteLength: number,
) {
  const url = new URL(path, await service.listen());
  const headers = { 'content-type': 'multipart/form-data; boundary=cut' };
  const request = openRequest(url, { method: 'POST', headers });
  request.write(`--cut\r\nContent-Disposition: form-data; name="${part}"; filename="${name}"\r\n\r\n`);
  request.write(Buffer.alloc(byteLength));
  request.end('\r\n--cut--\r\n');
  const [response] = await once(request, 'response');
  return { status: response.statusCode, problem: JSON.parse(await text(response)) };
}

describe('what is kept free for results', () => {
  let service: TestApp;
  before(async () => {
    service = await openTestApp({ minFreeBytes: Number.MAX_SAFE_INTEGER });
  });
  after(() => service.close());

  for (const [path, part, name] of PLACES) {
    test(`${path}: an upload is refused by its length`, async () => {
      const response = await post(service, path, part, name, Buffer.alloc(1000));
      const { code, detail } = await readProblem(response);
      assert.deepEqual([response.status, code], [507, 'insufficient_storage']);
      assert.match(detail, /MIN_FREE_BYTES/);
      assert.deepEqual(await service.leftOver(), []);
    });

    test(`${path}: an upload without a length is refused as it comes`, async () => {
      const { status, problem } = await postUnannounced(service, path, part, name, 1000);
      assert.deepEqual([status, problem.code], [507, 'insufficient_storage']);
      assert.deepEqual(await service.leftOver(), []);
    });
  }
});

describe('a disk of 8 MB', () => {
  const MOUNT = { skip: process.getuid?.() === 0 ? false : 'mounting a disk of its own needs root' };
  let disk: string;
  let service: TestApp;
  let discarded: ReturnType<typeof watchDiscards>;
  before(async () => {
    if (MOUNT.skip) return;
    disk = await mkdtemp(join(tmpdir(), 'emp-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    service = await openTestApp({ disk });
    discarded = watchDiscards(service.store);
  });
  after(async () => {
    if (MOUNT.skip) return;
    await service.close();
    execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  });

  for (const [path, part, name] of PLACES) {
    test(`${path}: an upload that fills it leaves nothing`, MOUNT, async () => {
      const { status, problem } = await postUnannounced(service, path, part, name, 12 * 2 ** 20);
      assert.deepEqual([status, problem.code], [507, 'insufficient_storage']);
      assert.deepEqual(await service.leftOver(), []);
      const { bavail, bsize } = await statfs(disk);
      assert.ok(bavail * bsize > 7 * 2 ** 20);
    });
  }

  for (const [path, part, name, entry] of [
    ['/v1/models', 'file', 'm.zip', 'm.safetensors'],
    ['/v1/datasets', 'scores', 's.npz', 'w.npy'],
    ['/v1/jobs', 'model', 'm.zip', 'm.onnx'],
  ] as const) {
    test(`${path}: an archive that would fill it is refused from its directory`, MOUNT, async () => {
      const content = Buffer.alloc(9 * 2 ** 20);
      const zip = createZip([{ name: entry, content, deflate: true }]);
      const response = await post(service, path, part, name, zip);
      const { code, detail } = await readProblem(response);
      assert.deepEqual([response.status, code], [507, 'insufficient_storage']);
      assert.match(detail, /no room for 9437184 bytes more/);
      assert.deepEqual(discarded.at(-1), []);
      assert.deepEqual(await service.leftOver(), []);
    });
  }

  test('a model that fits is stored all the same', MOUNT, async () => {
    const model = createSafetensors({ w: [1000, 1000] });
    assert.equal((await post(service, '/v1/models', 'file', 'm.safetensors', model)).status, 201);
  });
});
