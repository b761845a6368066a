import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { openOutputFolder } from '../../src/cli/output-folder.ts';
import { Refusal } from '../../src/cli/refusal.ts';
import { openEmpHere } from './emp-here.ts';
import { EMP, ended, MODEL, openPlace } from './run-emp.ts';

describe('the folder that a run writes to', () => {
  test('is its own: another run is refused, and neither takes what the other wrote', async (t) => {
    const place = await openPlace(t);
    const path = join(place.path, 'out/of/it');
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, () => openOutputFolder(path, 'model.onnx', place.path)),
    );
    const opened = all.filter(({ status }) => status === 'fulfilled');
    assert.equal(opened.length, 1);
    for (const one of all)
      if (one.status === 'rejected')
        assert.ok(one.reason instanceof Refusal && /is not empty/.test(one.reason.message), `${one.reason}`);
    const [first] = opened as PromiseFulfilledResult<Awaited<ReturnType<typeof openOutputFolder>>>[];
    await first.value.write('mine.txt', 'mine');
    await mkdir(dirname(first.value.place('deep/er/mine.bin')), { recursive: true });
    await writeFile(join(path, 'deep/er/mine.bin'), 'mine');
    await writeFile(join(path, 'notes.txt'), 'of somebody else');
    await first.value[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(path), ['notes.txt']);
  });

  test('goes with the folders that were made for it, where nothing came of the run', async (t) => {
    const place = await openPlace(t);
    const folder = await openOutputFolder(join(place.path, 'a/b/c'), 'model.onnx', place.path);
    await folder.write('x', 'x');
    await folder[Symbol.asyncDispose]();
    assert.deepEqual(await place.files(), []);
  });

  test('holds what is kept, and nothing of the run itself', async (t) => {
    const place = await openPlace(t);
    const folder = await openOutputFolder(undefined, 'model.onnx', join(place.path, 'parent'));
    await folder.write('x', 'x');
    folder.keep();
    await folder[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(join(place.path, 'parent/model')), ['x']);
  });

  test('takes no names that lead out of it', async (t) => {
    const place = await openPlace(t);
    const folder = await openOutputFolder(join(place.path, 'out'), 'model.onnx', place.path);
    for (const name of ['../evil.txt', '/tmp/evil.txt', 'a/../../evil.txt', '..', '.', ''])
      assert.throws(() => folder.place(name), /would lie outside of/, name);
    assert.equal(folder.place('a/b..txt'), join(place.path, 'out/a/b..txt'));
    await folder[Symbol.asyncDispose]();
  });
});

describe('a server that is not what it should be', () => {
  const emp = openEmpHere();
  const answers: Record<string, [path: RegExp, content: string][]> = {
    'a page': [[/./, '<!doctype html><p>Welcome']],
    null: [[/./, 'null']],
    'the same to everything': [[/./, '{"a":1}']],
    'a service whose answers are cut off': [
      [/healthz/, '{"status":"ok"}'],
      [/./, '{"id": "mdl'],
    ],
  };
  for (const [what, rules] of Object.entries(answers))
    test(`is told in one line: ${what}`, async (t) => {
      const place = await openPlace(t);
      const server = createServer((request, response) => {
        const [, content] = rules.find(([path]) => path.test(request.url ?? '')) ?? assert.fail();
        request.resume().on('end', () => response.end(content));
      }).listen(0, '127.0.0.1');
      t.after(() => server.close());
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const { code, stdout, stderr } = await emp(
        place,
        'inspect',
        MODEL,
        '--server',
        `http://127.0.0.1:${port}`,
      );
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^emp: [^\n]+\n$/);
      assert.deepEqual(await place.files(), []);
    });
});

test('a server that refuses an upload before it has come is told in its words', async (t) => {
  const place = await openPlace(t);
  // More than the buffers between the two hold.
  const path = join(place.path, 'large.onnx');
  await writeFile(path, Buffer.alloc(32 * 2 ** 20));
  const server = createServer((request, response) => {
    const isHealth = request.url === '/healthz';
    response.statusCode = isHealth ? 200 : 413;
    response.end(JSON.stringify(isHealth ? { status: 'ok' } : { detail: 'that is too much' }));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (let attempt = 0; attempt < 3; attempt++) {
    const { code, stderr } = await place.emp('inspect', path, '--server', `http://127.0.0.1:${port}`);
    assert.deepEqual([code, stderr], [2, 'emp: that is too much\n']);
  }
});

test('what cannot be said is a fault, but for a reader that has gone', async (t) => {
  const place = await openPlace(t);
  const emp = (redirect: string) =>
    ended(
      place.start(['-c', `exec "$0" "$@" ${redirect}`, process.execPath, EMP, 'inspect', MODEL, '--json'], {
        program: ['/bin/sh'],
      }),
    );
  const full = await emp('>/dev/full');
  assert.equal(full.code, 1);
  assert.match(full.stderr, /^emp: standard output: ENOSPC/m);
});
