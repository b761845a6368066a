import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { acceptedEncoding, pageAssets } from '../../src/http/page-assets.ts';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

/** Of the first load, compressed: more would be felt on a slow line. */
const MOST_BYTES = 150_000;

/** Words of reports, without anything that computes. */
const WORDS = ['../report/wording.ts', '../report/decision-statuses.ts', '../report/search-outcomes.ts'];

describe('the page that is served', () => {
  let service: TestApp;
  before(async () => {
    service = await openTestApp();
  });
  after(() => service.close());

  const get = (path: string, headers: Record<string, string> = {}) => service.fetch(path, { headers });
  const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

  async function loaded(): Promise<string[]> {
    const html = await (await get('/')).text();
    return [...html.matchAll(/(?:src|href)="([^"]+)"/g)]
      .map(([, url = '']) => url)
      .filter((url) => !url.startsWith('data:') && url !== '/docs');
  }

  test('loads scripts and styles from here alone, without any in the page', async () => {
    const response = await get('/');
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    const html = await response.text();
    assert.doesNotMatch(html, /<style|\son\w+=|<script(?! type="module" src=)/);
    const urls = await loaded();
    assert.equal(urls.length, 2);
    for (const url of urls) assert.match(url, /^\/assets\/[\w-]+-[A-Z0-9]{8}\.(js|css)$/);
  });

  test('keeps what has a hash in its name for ever, and asks for the rest again', async () => {
    for (const url of await loaded())
      assert.match((await get(url)).headers.get('cache-control') ?? '', /immutable/, url);
    const first = await get('/');
    assert.equal(first.headers.get('cache-control'), 'no-cache');
    const etag = first.headers.get('etag') ?? '';
    assert.notEqual(etag, '');
    const again = await get('/', { 'if-none-match': etag });
    assert.equal(again.status, 304);
    assert.equal((await get('/', { 'if-none-match': '"another"' })).status, 200);
  });

  test('comes in the encoding that is asked for, the same each time', async () => {
    for (const url of ['/', ...(await loaded())]) {
      const plain = await bytesOf(await get(url));
      const [br, gzip] = await Promise.all(
        ['br', 'gzip'].map((encoding) => get(url, { 'accept-encoding': `deflate, ${encoding}` })),
      );
      assert.deepEqual(
        [br, gzip].map(({ headers }) => headers.get('content-encoding')),
        ['br', 'gzip'],
      );
      assert.deepEqual(brotliDecompressSync(await bytesOf(br)), plain);
      assert.deepEqual(gunzipSync(await bytesOf(gzip)), plain);
      assert.equal(br.headers.get('vary'), 'Accept-Encoding');
    }
  });

  test('is small: all scripts and styles, whenever they are loaded', async () => {
    const { document, files } = await pageAssets();
    const all = [document, ...files.values()].reduce((sum, { encoded }) => sum + encoded.gzip.byteLength, 0);
    assert.ok(all > 0 && all < MOST_BYTES, `${all} bytes`);
  });

  test('is bundled of its own sources, packages and the words of reports', async () => {
    const { sources } = await pageAssets();
    assert.ok(sources.includes('front-page.tsx'), sources.join());
    const foreign = sources.filter(
      (path) => path.startsWith('..') && !path.includes('node_modules/') && !WORDS.includes(path),
    );
    assert.deepEqual(foreign, []);
  });

  test('gives the examples that it offers, and nothing else of their folder', async () => {
    for (const name of ['fc2-mnist.onnx', 'mnist/evaluation_inputs.npy']) {
      const response = await get(`/examples/${name}`);
      assert.deepEqual(
        await bytesOf(response),
        await readFile(new URL(`../../examples/${name}`, import.meta.url)),
      );
    }
    for (const name of ['README.md', 'mnist', '', '..%2fpackage.json', 'mnist/../../package.json'])
      assert.equal((await get(`/examples/${name}`)).status, 404, name);
    assert.equal((await readProblem(await get('/assets/front-page.js'))).code, 'not_found');
  });
});

describe('Accept-Encoding', () => {
  for (const [header, want] of [
    [undefined, null],
    ['', null],
    ['identity', null],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip', 'gzip'],
    ['BR;q=0.5', 'br'],
    ['br;q=0, gzip', 'gzip'],
    ['br;q=0.000,gzip ; q=0', null],
    ['brotli', null],
  ] as const)
    test(`${header}`, () => assert.equal(acceptedEncoding(header), want));
});
