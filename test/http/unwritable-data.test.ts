import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createFloatNpy } from '../formats/npy-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { cannotMount, mountDisk, type SmallDisk } from '../services/small-disk.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

let service: TestService;
let model: { id: string };

const send = (method: string, path: string, body?: FormData | object) =>
  fetch(service.url + path, {
    method,
    ...(body && { body: body instanceof FormData ? body : JSON.stringify(body) }),
    ...(body && !(body instanceof FormData) && { headers: { 'content-type': 'application/json' } }),
  });

function form(part: string, name: string, content: Uint8Array): FormData {
  const made = new FormData();
  made.append(part, fileOf(content), name);
  return made;
}

const modelForm = (part: string) => form(part, 'm.safetensors', createSafetensors({ 'fc.weight': [4, 8] }));

/** All that is written by clients. */
const WRITES: Readonly<Record<string, () => Promise<Response>>> = {
  'POST /v1/models': () => send('POST', '/v1/models', modelForm('file')),
  'POST /v1/datasets': () =>
    send('POST', '/v1/datasets', form('inputs', 'x.npy', createFloatNpy([1, 2, 3, 4], '(2, 2)'))),
  'POST /v1/jobs with a model': () => send('POST', '/v1/jobs', modelForm('model')),
  'POST /v1/jobs of a model': () => send('POST', '/v1/jobs', { model_id: model.id }),
  'DELETE /v1/models': () => send('DELETE', `/v1/models/${model.id}`),
};
const READS: Readonly<Record<string, () => Promise<Response>>> = {
  'GET /v1/models': () => send('GET', '/v1/models'),
  'GET /v1/models/{id}': () => send('GET', `/v1/models/${model.id}`),
  'GET /v1/models/{id}/content': () => send('GET', `/v1/models/${model.id}/content`),
  'GET /v1/jobs/{id}': () => send('GET', '/v1/jobs/job_0000000000'),
};

async function assertRefused(what: string, response: Response, detail: RegExp): Promise<void> {
  const problem = await readProblem(response);
  assert.deepEqual([what, response.status, problem.code], [what, 503, 'not_ready']);
  assert.equal(response.headers.get('retry-after'), '5');
  assert.match(problem.detail, detail);
  assert.ok(!problem.detail.includes(service.store.root));
}

async function assertUnready(detail: RegExp): Promise<void> {
  const response = await send('GET', '/readyz');
  const { errors } = await readProblem(response);
  assert.deepEqual([response.status, errors.map(({ path }) => path)], [503, ['storage']]);
  assert.match(errors[0]?.message ?? '', detail);
}

describe('a data directory that cannot be written', { skip: cannotMount }, () => {
  let disk: SmallDisk;
  const remount = (how: 'ro' | 'rw') => execFileSync('mount', ['-o', `remount,${how}`, disk.path]);
  before(async () => {
    disk = mountDisk(64);
    service = await openTestService({ disk: disk.path });
    model = await readJson(await WRITES['POST /v1/models']());
    remount('ro');
  });
  after(async () => {
    remount('rw');
    await service.close();
    disk.unmount();
  });

  const because = /cannot be written to: its file system is read-only/;
  for (const [what, write] of Object.entries(WRITES))
    test(`${what} says so, and when to come again`, async () => assertRefused(what, await write(), because));

  test('what is there is told, and the service is not ready', async () => {
    assert.equal((await READS['GET /v1/models/{id}']()).status, 200);
    await assertUnready(because);
  });

  test('once it can be, all goes on', async () => {
    remount('rw');
    assert.equal((await WRITES['POST /v1/datasets']()).status, 201);
    assert.equal((await send('GET', '/readyz')).status, 200);
  });
});

describe('a data directory that is moved away', () => {
  let place: string;
  before(async () => {
    service = await openTestService();
    model = await readJson(await WRITES['POST /v1/models']());
    place = service.store.root;
    await rename(place, `${place}-away`);
  });
  after(() => service.close());

  const because = /the data directory is gone, or has lost its folder uploads: put it back/;
  for (const [what, ask] of Object.entries({ ...WRITES, ...READS }))
    test(`${what} says so, and nothing is made in its place`, async () => {
      await assertRefused(what, await ask(), because);
      assert.equal(existsSync(place), false);
    });

  test('the service is not ready, also where an empty folder stands in its place', async () => {
    await assertUnready(because);
    await mkdir(place);
    await assertUnready(because);
    await assertRefused('', await WRITES['POST /v1/models'](), because);
    assert.deepEqual(await readdir(place), []);
    await rmdir(place);
  });

  test('no less where a folder of it is', async () => {
    await rename(`${place}-away`, place);
    for (const folder of ['jobs', 'models', 'idempotency', 'index/unfinished', 'index/jobs']) {
      await rename(join(place, folder), `${place}-folder`);
      const lost = new RegExp(`has lost its folder ${folder}: put it back where it was`);
      await assertUnready(lost);
      await assertRefused(folder, await WRITES['POST /v1/jobs with a model'](), lost);
      await rename(`${place}-folder`, join(place, folder));
    }
    await rename(join(place, 'index', 'models'), `${place}-folder`);
    await assertRefused('', await READS['GET /v1/models'](), /start the service anew/);
    await rename(`${place}-folder`, join(place, 'index', 'models'));
    await rename(place, `${place}-away`);
  });

  test('once it is back, all is as it was', async () => {
    await rename(`${place}-away`, place);
    assert.equal((await send('GET', '/readyz')).status, 200);
    assert.equal((await READS['GET /v1/models/{id}/content']()).status, 200);
    assert.equal((await WRITES['POST /v1/jobs of a model']()).status, 202);
  });
});

test('a file that is gone is told so, and nobody keeps that answer', async (context) => {
  service = await openTestService();
  context.after(() => service.close());
  model = await readJson(await WRITES['POST /v1/models']());
  await rm(join(service.store.root, 'models', model.id, 'files'), { recursive: true });
  const response = await READS['GET /v1/models/{id}/content']();
  assert.deepEqual([response.status, (await readProblem(response)).code], [404, 'not_found']);
  for (const name of ['etag', 'cache-control', 'content-disposition', 'accept-ranges'])
    assert.equal(response.headers.get(name), null);
  assert.equal((await send('GET', '/readyz')).status, 200);
});
