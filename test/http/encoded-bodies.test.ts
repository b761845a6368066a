import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { parse } from 'yaml';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'));
type Operations = Record<string, { requestBody?: { content: Record<string, object> } }>;
/** Paths that are posted a body to, by its type. */
function pathsOf(type: string): string[] {
  return Object.entries(document.paths as Record<string, Operations>)
    .filter(([, { post }]) => post?.requestBody?.content[type])
    .map(([path]) => path);
}

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

const JSON_TYPE = 'application/json';
/** A field that no route knows: told of once the body is read. */
const UNKNOWN = '{"no_such_field":1}';

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
  const url = path.replaceAll(/\{\w+\}/g, '0');
  const init = { method: 'POST', headers: { 'content-type': JSON_TYPE, ...headers }, body };
  const response = await service.fetch(url, init);
  return { status: response.status, ...(await readProblem(response)) };
}

const assertRead = ({ status, errors }: Awaited<ReturnType<typeof post>>, what: string) => {
  assert.equal(status, 422, what);
  assert.ok(
    errors.some(({ path }) => path === '/no_such_field'),
    what,
  );
};

test('there are routes to try', () => {
  assert.ok(pathsOf(JSON_TYPE).length >= 4);
  assert.ok(pathsOf('multipart/form-data').length >= 3);
});

for (const path of pathsOf(JSON_TYPE)) {
  describe(`JSON to ${path}`, () => {
    test('is unfolded', async () => {
      for (const [coding, body] of [
        ['gzip', gzipSync(UNKNOWN)],
        ['GZIP', gzipSync(UNKNOWN)],
        ['br', brotliCompressSync(UNKNOWN)],
        ['zstd', zstdCompressSync(UNKNOWN)],
        ['identity', UNKNOWN],
        ['', UNKNOWN],
      ] as const)
        assertRead(await post(path, body as string, { 'content-encoding': coding }), coding);
    });

    test('is not what its Content-Encoding says', async () => {
      for (const coding of ['gzip', 'br', 'zstd']) {
        const { status, code, detail } = await post(path, UNKNOWN, { 'content-encoding': coding });
        assert.deepEqual([status, code], [400, 'malformed_body'], coding);
        assert.match(detail, /cannot be decoded/);
      }
    });

    test('in a coding that is not known', async () => {
      for (const coding of ['foo', 'deflate', 'gzip, br']) {
        const { status, code, errors } = await post(path, UNKNOWN, { 'content-encoding': coding });
        assert.deepEqual([status, code], [415, 'unsupported_media_type'], coding);
        assert.deepEqual(errors, [
          { path: 'Content-Encoding', message: 'must be one of gzip, zstd, br, identity' },
        ]);
      }
    });

    test('that would unfold without end', async () => {
      const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, ' '));
      const { status, detail } = await post(path, bomb as never, { 'content-encoding': 'gzip' });
      assert.equal(status, 413);
      assert.match(detail, /^the body is larger than \d+ bytes: /);
    });

    test('that is too large is told the limit', async () => {
      const { status, detail } = await post(path, `"${'x'.repeat(5 * 2 ** 20)}"`);
      assert.equal(status, 413);
      const [, limit] = /^the body is larger than (\d+) bytes: /.exec(detail) ?? [];
      assert.ok(Number(limit) >= 2 ** 20, detail);
    });

    test('in another charset', async () => {
      for (const charset of ['utf-16', 'UTF-16LE', '"utf-32"', 'iso-8859-1']) {
        const type = `${JSON_TYPE}; charset=${charset}`;
        const { status, detail } = await post(path, Buffer.from(UNKNOWN, 'utf16le'), {
          'content-type': type,
        });
        assert.equal(status, 415, charset);
        const name = charset.replaceAll('"', '').toLowerCase();
        assert.equal(detail, `Content-Type names the charset ${name}; it must name no charset but utf-8`);
      }
      for (const charset of ['utf-8', 'UTF-8', '"utf-8"', 'us-ascii'])
        assertRead(await post(path, UNKNOWN, { 'content-type': `${JSON_TYPE};charset=${charset}` }), charset);
    });

    test('with bytes that are not UTF-8', async () => {
      for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
        const body = Buffer.concat([
          Buffer.from('{"no_such_field":"'),
          Buffer.from(bytes),
          Buffer.from('"}'),
        ]);
        const { status, code, detail } = await post(path, body);
        assert.deepEqual([status, code], [400, 'malformed_body'], String(bytes));
        assert.match(detail, /^the body is not in UTF-8/);
      }
      assertRead(await post(path, '{"no_such_field":"é漢🙂"}'), 'what is');
      assertRead(await post(path, `\ufeff${UNKNOWN}`), 'a byte order mark');
    });
  });
}

for (const path of pathsOf('multipart/form-data'))
  test(`a form to ${path} is in no coding`, async () => {
    const form = Buffer.from('--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n--b--\r\n');
    const type = { 'content-type': 'multipart/form-data; boundary=b' };
    for (const coding of ['gzip', 'br', 'foo']) {
      const { status, errors } = await post(path, gzipSync(form) as never, {
        ...type,
        'content-encoding': coding,
      });
      assert.equal(status, 415, coding);
      assert.deepEqual(errors, [{ path: 'Content-Encoding', message: 'must be identity for a form' }]);
    }
    const { status, detail } = await post(path, form, { ...type, 'content-encoding': 'identity' });
    assert.equal(status, 422);
    assert.match(detail, /^part n is not a part/);
  });

test('a text of a form that is not UTF-8', async () => {
  for (const [disposition, type] of [
    ['name="recipe"', ''],
    ['name="recipe"', 'Content-Type: application/json\r\n'],
    ['name="recipe"; filename="recipe.json"', ''],
  ]) {
    const head = `--b\r\nContent-Disposition: form-data; ${disposition}\r\n${type}\r\n{"beta":1,"x":"`;
    const form = Buffer.concat([Buffer.from(head), Buffer.from([0xff]), Buffer.from('"}\r\n--b--\r\n')]);
    const answer = await post('/v1/jobs', form, { 'content-type': 'multipart/form-data; boundary=b' });
    assert.deepEqual([answer.status, answer.errors[0]?.path], [422, 'recipe'], disposition + type);
    assert.match(answer.detail, /^part recipe is not in UTF-8/);
  }
});
