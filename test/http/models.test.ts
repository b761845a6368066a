import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { extract } from 'tar-stream';
import { createZip } from '../formats/archive-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

const MAX_UPLOAD_BYTES = 1_000_000;
let service: TestApp;
before(async () => {
  service = await openTestApp({ maxUploadBytes: MAX_UPLOAD_BYTES });
});
after(() => service.close());
afterEach(async () => {
  const { data } = await readJson(await service.fetch('/v1/models?limit=100'));
  for (const { id } of data) await service.fetch(`/v1/models/${id}`, { method: 'DELETE' });
  assert.deepEqual(await service.files(), []);
});

const onnx = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const small = createSafetensors({ 'fc.weight': [2, 3], 'fc.bias': [2] });
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function upload(...files: [name: string, content: Uint8Array][]): Promise<Response> {
  const form = new FormData();
  for (const [name, content] of files) form.append('file', fileOf(content), name);
  return service.fetch('/v1/models', { method: 'POST', body: form });
}

async function stored(response: Response) {
  const body = await response.text();
  assert.equal(response.status, 201, body);
  const model = JSON.parse(body);
  assert.equal(response.headers.get('location'), `/v1/models/${model.id}`);
  return model;
}

async function refused(response: Response, status: number, code: string) {
  const problem = await readProblem(response);
  assert.deepEqual([response.status, problem.code], [status, code], problem.detail);
  assert.deepEqual(await service.files(), []);
  return problem;
}

/** What was uploaded may look like a page to a browser, and must not act as one of this site. */
function assertNoPage(headers: Headers): void {
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  assert.equal(headers.get('content-security-policy'), "sandbox; default-src 'none'; frame-ancestors 'none'");
}

describe('POST /v1/models', () => {
  test('an ONNX model: its inventory, and its bytes again', async () => {
    const model = await stored(await upload(['fc2-mnist.onnx', onnx]));
    assert.match(model.id, /^mdl_/);
    assert.deepEqual(
      [model.format, model.name, model.sha256, model.size_bytes],
      ['onnx', 'fc2-mnist.onnx', sha256(onnx), onnx.length],
    );
    // 784-100-10 with biases.
    assert.equal(model.n_parameters, 784 * 100 + 100 + 100 * 10 + 10);
    assert.equal(model.n_macs, 784 * 100 + 100 * 10);
    const prunable = model.tensors.filter((tensor: { prunable: boolean }) => tensor.prunable);
    assert.deepEqual(
      prunable.map(({ shape, dtype, role, macs }: Record<string, unknown>) => ({ shape, dtype, role, macs })),
      [
        { shape: [100, 784], dtype: 'float32', role: 'weight', macs: 78_400 },
        { shape: [10, 100], dtype: 'float32', role: 'weight', macs: 1000 },
      ],
    );
    assert.deepEqual(Object.keys(model.tensors[0]).sort(), [
      'dtype',
      'macs',
      'name',
      'prunable',
      'role',
      'shape',
    ]);
    assert.deepEqual(await readJson(await service.fetch(`/v1/models/${model.id}`)), model);

    const content = await service.fetch(`/v1/models/${model.id}/content`);
    assert.equal(content.headers.get('etag'), `"${sha256(onnx)}"`);
    assertNoPage(content.headers);
    assert.match(content.headers.get('content-disposition') ?? '', /^attachment; filename="fc2-mnist.onnx"$/);
    assert.deepEqual(Buffer.from(await content.arrayBuffer()), onnx);
  });

  test('the same content again is the same model', async () => {
    const model = await stored(await upload(['a.safetensors', small]));
    const again = await upload(['a.safetensors', small]);
    assert.equal(again.status, 200);
    assert.deepEqual(await again.json(), model);
    const renamed = await stored(await upload(['b.safetensors', small]));
    assert.notEqual(renamed.id, model.id);
  });

  test('shards with their index, as parts or in an archive, are one model', async () => {
    const index = JSON.stringify({
      weight_map: { 'a.weight': 'one.safetensors', 'b.weight': 'two.safetensors' },
    });
    const files: [string, Uint8Array][] = [
      ['m.safetensors.index.json', Buffer.from(index)],
      ['one.safetensors', createSafetensors({ 'a.weight': [2, 2] })],
      ['two.safetensors', createSafetensors({ 'b.weight': [2, 2] })],
    ];
    const model = await stored(await upload(...files.toReversed()));
    assert.equal(model.name, 'm.safetensors.index.json');
    assert.equal(
      model.sha256,
      sha256(Buffer.from(files.map(([name, content]) => `${sha256(content)}  ${name}\n`).join(''))),
    );
    const zip = createZip(
      files.map(([name, content]) => ({ name: `folder/${name}`, content, deflate: true })),
    );
    const packed = await upload(['packed.zip', zip]);
    assert.equal(packed.status, 200);
    assert.deepEqual(await packed.json(), model);

    const response = await service.fetch(`/v1/models/${model.id}/content`);
    assert.equal(response.headers.get('content-type'), 'application/x-tar');
    assertNoPage(response.headers);
    const archive = extract();
    archive.end(Buffer.from(await response.arrayBuffer()));
    const got: [string, string][] = [];
    for await (const entry of archive) got.push([entry.header.name, await text(entry)]);
    assert.deepEqual(
      got,
      files.map(([name, content]) => [name, Buffer.from(content).toString()]),
    );
  });

  test('what is no model is refused, and nothing of it stays', async () => {
    await refused(await upload(['model.onnx', onnx.subarray(0, 1000)]), 422, 'malformed_onnx');
    await refused(await upload(['model.safetensors', small.subarray(0, 20)]), 422, 'malformed_safetensors');
    await refused(await upload(['model.onnx', new Uint8Array()]), 422, 'malformed_onnx');
    assert.match(
      (await refused(await upload(['model.pt', small]), 422, 'unsupported_model')).detail,
      /safetensors/,
    );
    await refused(await upload(['model.zip', Buffer.from('PK no')]), 422, 'malformed_archive');
    await refused(await upload(['a.safetensors', small], ['b.safetensors', small]), 422, 'missing_file');
    await refused(await upload(['a.safetensors', small], ['a.safetensors', small]), 422, 'invalid_request');
  });

  for (const name of [
    '../a.onnx',
    '/etc/a.onnx',
    'a/../../b.onnx',
    'a\\b.onnx',
    'a/./b.onnx',
    'C:a.onnx',
    `${'x'.repeat(300)}.onnx`,
  ]) {
    test(`the file name ${name.slice(0, 20)} is refused`, async () => {
      const { errors } = await refused(await upload([name, onnx]), 422, 'invalid_request');
      assert.equal(errors[0]?.path, 'file');
    });
  }

  test('an archive cannot write outside its folder', async () => {
    const zip = createZip([{ name: '../../escaped.safetensors', content: small }]);
    await refused(await upload(['model.zip', zip]), 422, 'malformed_archive');
  });

  test('parts that the request does not have are refused by name', async () => {
    const form = new FormData();
    form.append('model', fileOf(small), 'model.safetensors');
    const response = await service.fetch('/v1/models', { method: 'POST', body: form });
    const { detail, errors } = await refused(response, 422, 'invalid_request');
    assert.equal(errors[0]?.path, 'model');
    assert.match(detail, /file/);
  });

  test('a part without a file name, no part, and no multipart at all', async () => {
    const form = new FormData();
    form.append('file', 'text');
    await refused(await service.fetch('/v1/models', { method: 'POST', body: form }), 422, 'invalid_request');
    await refused(
      await service.fetch('/v1/models', { method: 'POST', body: new FormData() }),
      422,
      'invalid_request',
    );
    await refused(await service.fetch('/v1/models', { method: 'POST' }), 415, 'unsupported_media_type');
    const json = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
    await refused(await service.fetch('/v1/models', json), 415, 'unsupported_media_type');
  });

  test('an upload beyond the limit: announced, counted, in sum, and unpacked', async () => {
    const large = Buffer.alloc(MAX_UPLOAD_BYTES + 1);
    await refused(await upload(['model.onnx', large]), 413, 'payload_too_large');
    const half = large.subarray(0, 600_000);
    await refused(await upload(['a.onnx', half], ['a.data', half]), 413, 'payload_too_large');
    const bomb = createZip([{ name: 'model.onnx', content: large, deflate: true }]);
    assert.ok(bomb.length < 10_000);
    await refused(await upload(['model.zip', bomb]), 413, 'payload_too_large');
    await refused(await upload(['model.onnx', Buffer.alloc(8 * 2 ** 20)]), 413, 'payload_too_large');
  });

  for (const [where, body] of [
    [
      'within a file',
      '--cut\r\nContent-Disposition: form-data; name="file"; filename="model.onnx"\r\n\r\nonly so much',
    ],
    ['within the headers of a part', '--cut\r\nContent-Disposition: form-da'],
    [
      'after a whole file',
      '--cut\r\nContent-Disposition: form-data; name="file"; filename="model.onnx"\r\n\r\nwhole\r\n--cut\r\nContent-',
    ],
  ]) {
    test(`a connection cut ${where} leaves no file`, async () => {
      const socket = connect(Number(new URL(await service.listen()).port), '127.0.0.1');
      await once(socket, 'connect');
      const head =
        'POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=cut\r\nContent-Length: 500000\r\n\r\n';
      socket.write(head + body);
      while (where !== 'within the headers of a part' && (await service.files()).length === 0) await sleep(5);
      socket.destroy();
      await sleep(50);
      assert.deepEqual(await service.files(), []);
    });
  }

  test('other archives are refused with those that are unpacked', async () => {
    for (const names of [
      ['model.tar.gz'],
      ['model.tgz'],
      ['MODEL.7Z'],
      ['model.onnx.zst'],
      ['a.zip', 'b.zip'],
    ]) {
      const files = names.map((name): [string, Uint8Array] => [name, small]);
      const { detail } = await refused(await upload(...files), 422, 'unsupported_model');
      assert.match(detail, /: of archives \.tar and \.zip are unpacked, each as the only file of a model$/);
    }
  });

  test('a form that ends before its last boundary is refused', async () => {
    const body =
      '--cut\r\nContent-Disposition: form-data; name="file"; filename="model.onnx"\r\n\r\nonly so much';
    const headers = { 'content-type': 'multipart/form-data; boundary=cut' };
    await refused(
      await service.fetch('/v1/models', { method: 'POST', body, headers }),
      400,
      'malformed_body',
    );
  });
});

describe('files that cannot lie in one folder', () => {
  for (const names of [
    ['a', 'a/b.onnx'],
    ['a/b.onnx', 'a'],
  ])
    test(names.join(', then '), async () => {
      const { detail } = await refused(
        await upload(...names.map((name): [string, Uint8Array] => [name, small])),
        422,
        'invalid_request',
      );
      assert.match(detail, /one inside the other/);
    });
});

describe('models', () => {
  test('are listed newest first, by page', async () => {
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      ids.unshift((await stored(await upload([`${name}.safetensors`, small]))).id);
      await sleep(2);
    }
    const first = await readJson(await service.fetch('/v1/models?limit=2'));
    const second = await readJson(await service.fetch(`/v1/models?limit=2&cursor=${first.next_cursor}`));
    assert.deepEqual(
      [...first.data, ...second.data].map(({ id }) => id),
      ids,
    );
    assert.equal(second.next_cursor, null);
    assert.equal(first.data[0].tensors, undefined);
    for (const query of ['?limit=0', '?limit=x', '?limit=1000', '?page=2']) {
      const problem = await readProblem(await service.fetch(`/v1/models${query}`));
      assert.equal(problem.code, 'invalid_request');
      assert.match(problem.errors[0]?.path ?? '', /^\?(limit|page)$/);
    }
  });

  test('that are not there', async () => {
    for (const id of ['mdl_0123456789', 'nothing', '..%2f..', 'job_0123456789']) {
      for (const path of [`/v1/models/${id}`, `/v1/models/${id}/content`]) {
        const response = await service.fetch(path);
        assert.deepEqual([response.status, (await readProblem(response)).code], [404, 'not_found']);
      }
      assert.equal((await service.fetch(`/v1/models/${id}`, { method: 'DELETE' })).status, 404);
    }
  });

  test('are deleted', async () => {
    const { id } = await stored(await upload(['a.safetensors', small]));
    assert.equal((await service.fetch(`/v1/models/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await service.fetch(`/v1/models/${id}`)).status, 404);
  });

  test('content by range', async () => {
    const { id } = await stored(await upload(['a.safetensors', small]));
    const path = `/v1/models/${id}/content`;
    const part = await service.fetch(path, { headers: { range: 'bytes=4-7' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), `bytes 4-7/${small.length}`);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), small.subarray(4, 8));
    const beyond = await service.fetch(path, { headers: { range: `bytes=${small.length}-` } });
    assert.equal(beyond.headers.get('content-range'), `bytes */${small.length}`);
    assert.deepEqual([beyond.status, (await readProblem(beyond)).code], [416, 'range_not_satisfiable']);
    const etag = part.headers.get('etag') ?? '';
    const known = await service.fetch(path, { headers: { 'if-none-match': `"x", ${etag}` } });
    assert.deepEqual([known.status, await known.text()], [304, '']);
    const changed = await service.fetch(path, { headers: { range: 'bytes=4-7', 'if-range': '"other"' } });
    assert.equal(changed.status, 200);
    assert.equal((await changed.arrayBuffer()).byteLength, small.length);
    const head = await service.fetch(path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(small.length)]);
  });
});
