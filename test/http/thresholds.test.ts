import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { thresholdRequestSchema, thresholdSchema } from '../../src/http/schemas.ts';
import { assertClose, createRandom, decideBySorting } from '../core/oracle.ts';
import vectors from '../core/vectors.json' with { type: 'json' };
import { createFloatNpy, createNpy } from '../formats/npy-bytes.ts';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

const JSON_TYPE = 'application/json';
const RAW_TYPE = 'application/octet-stream';
const NPY_TYPE = 'application/x-npy';

function post(
  type: string,
  body: string | Uint8Array,
  query = '',
  headers: Record<string, string> = {},
): Promise<Response> {
  return service.fetch(`/v1/thresholds${query}`, {
    method: 'POST',
    body: body as string,
    headers: { 'content-type': type, ...headers },
  });
}
const postJson = (body: unknown) => post(JSON_TYPE, typeof body === 'string' ? body : JSON.stringify(body));

async function answer(response: Promise<Response>) {
  const got = await response;
  const text = await got.text();
  assert.equal(got.status, 200, text);
  return JSON.parse(text);
}

async function refusal(response: Promise<Response>, status: number, code: string, path?: string) {
  const got = await response;
  const problem = await readProblem(got);
  assert.deepEqual([got.status, problem.code], [status, code], problem.detail);
  if (path !== undefined) assert.equal(problem.errors[0]?.path, path);
  return problem;
}

const indicesOf = (mask: Uint8Array, n: number) =>
  Array.from({ length: n }, (_, i) => i).filter((i) => mask[i >> 3] & (1 << (i & 7)));

describe('the exact vectors over HTTP', () => {
  for (const { name, scores, expected } of vectors.cases) {
    test(name, async () => {
      for (const want of expected) {
        const got = await answer(
          postJson({ scores, beta: want.beta, include: ['keep_mask', 'kept_indices'] }),
        );
        for (const key of ['n_eff', 'threshold', 'preserved_mass'] as const)
          assertClose(got[key], want[key], key);
        assertClose(got.preserved_mass_bound, want.preserved_mass_bound, 'preserved_mass_bound');
        if (want.preserved_mass_bound_paper === null) assert.equal(got.preserved_mass_bound_paper, null);
        else
          assertClose(
            got.preserved_mass_bound_paper,
            want.preserved_mass_bound_paper,
            'preserved_mass_bound_paper',
          );
        assert.deepEqual(got.kept_indices, want.kept_indices);
        assert.deepEqual(indicesOf(Buffer.from(got.keep_mask, 'base64'), scores.length), want.kept_indices);
        const { n, n_keep, beta, sign } = got;
        assert.deepEqual(
          { n, n_keep, beta, sign },
          { n: scores.length, n_keep: want.n_keep, beta: want.beta, sign: 'abs' },
        );
        assertClose(got.sparsity + got.density, 1, 'sparsity');
      }
    });
  }

  for (const { name, index, ...body } of vectors.errors) {
    test(`refuses ${name}`, async () => {
      const response = await postJson(body);
      assert.ok(response.status >= 400 && response.status < 500);
      const { errors } = await readProblem(response);
      assert.equal(
        errors[0]?.path,
        'beta' in body ? '/beta' : index === undefined ? '/scores' : `/scores/${index}`,
      );
    });
  }

  for (const { sign, scores, equivalent_to } of vectors.signs) {
    test(`sign ${sign}`, async () => {
      const { sign: given, ...got } = await answer(postJson({ scores, sign, include: ['keep_mask'] }));
      const { sign: _, ...want } = await answer(postJson({ scores: equivalent_to, include: ['keep_mask'] }));
      assert.deepEqual(got, want);
      assert.equal(given, sign);
    });
  }
});

describe('a JSON body', () => {
  test('the documented example has the documented answer', async () => {
    const request = thresholdRequestSchema.meta()?.example;
    assert.deepEqual(await answer(postJson(request)), thresholdSchema.meta()?.example);
  });

  test('named groups are decided apart and added up', async () => {
    const scores = { 'fc1/weight': [3, 1, 1], b: [1, 1], '2': [5] };
    const { groups, total } = await answer(postJson({ scores, beta: 0.5, include: ['kept_indices'] }));
    for (const { name, ...group } of groups) {
      assert.deepEqual(
        group,
        await answer(postJson({ scores: scores[name as 'b'], beta: 0.5, include: ['kept_indices'] })),
      );
    }
    assert.deepEqual(groups.map(({ name }: { name: string }) => name).sort(), Object.keys(scores).sort());
    const kept = groups.reduce((sum: number, { n_keep }: { n_keep: number }) => sum + n_keep, 0);
    assert.deepEqual(total, { n: 6, n_keep: kept, sparsity: 1 - kept / 6 });
  });

  const refused: [string, string, number, string, string?][] = [
    ['is empty', '', 400, 'malformed_body'],
    ['is cut', '{"scores": [1, 2', 400, 'malformed_body'],
    ['holds a bare NaN', '{"scores": [1, NaN]}', 400, 'malformed_body'],
    ['is an array', '[1, 2]', 422, 'invalid_request', '/'],
    ['is null', 'null', 422, 'invalid_request', '/'],
    ['has no scores', '{"beta": 1}', 422, 'invalid_request', '/scores'],
    ['has scores of a number', '{"scores": 1}', 422, 'invalid_request', '/scores'],
    ['has no groups', '{"scores": {}}', 422, 'empty_scores', '/scores'],
    ['has an empty group', '{"scores": {"a": [1], "b/c": []}}', 422, 'empty_scores', '/scores/b~1c'],
    ['has a group that is no array', '{"scores": {"a": {"b": [1]}}}', 422, 'invalid_request', '/scores/a'],
    ['has a group twice', '{"scores": {"a": [1], "a": [2]}}', 422, 'invalid_request', '/scores/a'],
    [
      'has a group twice, once escaped',
      '{"scores": {"a": [1], "\\u0061": [2]}}',
      422,
      'invalid_request',
      '/scores/a',
    ],
    ['has nested arrays', '{"scores": [1, [2]]}', 422, 'non_finite_score', '/scores/1'],
    ['has a number beyond doubles', '{"scores": [1, 2, 1e400]}', 422, 'non_finite_score', '/scores/2'],
    ['has a null', '{"scores": [null]}', 422, 'non_finite_score', '/scores/0'],
    ['has a string in a group', '{"scores": {"a": [1, "2"]}}', 422, 'non_finite_score', '/scores/a/1'],
    ['has beta beyond doubles', '{"scores": [1], "beta": 1e400}', 422, 'invalid_request', '/beta'],
    ['has beta null', '{"scores": [1], "beta": null}', 422, 'invalid_request', '/beta'],
    ['has another sign', '{"scores": [1], "sign": "minus"}', 422, 'invalid_request', '/sign'],
    ['asks for something else', '{"scores": [1], "include": ["mask"]}', 422, 'invalid_request', '/include/0'],
    [
      'nests a million arrays',
      `{"scores": ${'['.repeat(1e6)}${']'.repeat(1e6)}}`,
      422,
      'invalid_request',
      '/scores/0/0/0',
    ],
    ['has an unknown field', '{"scores": [1], "gamma": 1}', 422, 'invalid_request', '/gamma'],
    ['has a field __proto__', '{"scores": [1], "__proto__": 1}', 422, 'invalid_request', '/__proto__'],
    ['has a field twice', '{"beta": 1, "scores": [1], "beta": 2}', 422, 'invalid_request', '/beta'],
    ['asks a thousand times', `{"include": [${'1,'.repeat(999)}1]}`, 422, 'invalid_request', '/include'],
  ];
  for (const [what, body, status, code, path] of refused) {
    test(`that ${what} is refused`, () => refusal(postJson(body), status, code, path).then(() => {}));
  }

  test('a group may have a name of four kilobytes, of any characters', async () => {
    for (const name of ['x'.repeat(4096), '\\"'.repeat(1024), '": '.repeat(1024)]) {
      const { groups } = await answer(postJson(JSON.stringify({ scores: { [name]: [1], other: [2] } })));
      assert.ok(groups[0].name === name);
    }
  });

  test('a group may be named like a field, or like what objects inherit', async () => {
    const { groups } = await answer(
      postJson('{"scores": {"scores": [1], "beta": [2], "__proto__": [3], "constructor": [4]}}'),
    );
    assert.deepEqual(
      groups.map(({ name }: { name: string }) => name),
      ['scores', 'beta', '__proto__', 'constructor'],
    );
  });

  test('query parameters are refused, not ignored', async () => {
    await refusal(post(JSON_TYPE, '{"scores": [1]}', '?beta=2'), 422, 'invalid_request', '?beta');
  });

  test('more than a million indices are refused, with the way to get them', async () => {
    const scores = new Uint8Array(new Float32Array(1_000_001).fill(1).buffer);
    const problem = await refusal(
      post(RAW_TYPE, scores, '?include=kept_indices'),
      422,
      'invalid_request',
      '/include',
    );
    assert.match(problem.detail, /keep_mask/);
  });
});

describe('an octet-stream', () => {
  const random = createRandom(7);
  const values = Array.from({ length: 10_007 }, () => Math.fround(random() - 0.5));
  const forms: [string, Uint8Array][] = [
    ['float32', new Uint8Array(new Float32Array(values).buffer)],
    ['float64', new Uint8Array(new Float64Array(values).buffer)],
  ];
  for (const [dtype, body] of forms) {
    test(`of ${dtype} is decided as the definition says`, async () => {
      const want = decideBySorting(values, 0.9);
      const got = await answer(post(RAW_TYPE, body, `?dtype=${dtype}&beta=0.9&include=kept_indices`));
      assert.deepEqual(got.kept_indices, want.kept);
      assertClose(got.n_eff, want.nEff, 'n_eff');
      assert.equal(got.threshold, want.threshold);
    });
  }

  test('of 16-bit floats', async () => {
    const halves = new Uint8Array(new Float16Array([1, -2, 0.5]).buffer);
    const bits = new Uint32Array(new Float32Array([1, -2, 0.5]).buffer);
    const brains = new Uint8Array(Uint16Array.from(bits, (word) => word >>> 16).buffer);
    const want = await answer(postJson({ scores: [1, -2, 0.5], include: ['keep_mask'] }));
    assert.deepEqual(await answer(post(RAW_TYPE, halves, '?dtype=float16&include=keep_mask')), want);
    assert.deepEqual(await answer(post(RAW_TYPE, brains, '?dtype=bfloat16&include=keep_mask')), want);
  });

  test('answered as an octet-stream: the mask, and the figures in a header', async () => {
    const [[, body]] = forms;
    const { keep_mask, ...figures } = await answer(post(RAW_TYPE, body, '?include=keep_mask'));
    const response = await post(RAW_TYPE, body, '', { accept: RAW_TYPE });
    assert.equal(response.headers.get('content-type'), RAW_TYPE);
    assert.deepEqual(JSON.parse(response.headers.get('emp-summary') ?? ''), figures);
    assert.equal(Buffer.from(await response.arrayBuffer()).toString('base64'), keep_mask);
  });

  for (const [encoding, compress] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const) {
    test(`in ${encoding}`, async () => {
      const [[, body]] = forms;
      const packed = compress(body);
      const headers = { 'content-encoding': encoding };
      assert.deepEqual(await answer(post(RAW_TYPE, packed, '', headers)), await answer(post(RAW_TYPE, body)));
      await refusal(post(RAW_TYPE, packed.subarray(0, -9), '', headers), 400, 'malformed_body');
      await refusal(post(RAW_TYPE, body, '', headers), 400, 'malformed_body');
      if (encoding !== 'gzip')
        await refusal(post(RAW_TYPE, Buffer.concat([packed, packed]), '', headers), 400, 'malformed_body');
    });
  }

  for (const [size, status, code] of [
    [2 ** 20, 400, 'malformed_body'],
    [3 * 2 ** 20, 400, 'malformed_body'],
    [6 * 2 ** 20, 413, 'payload_too_large'],
  ] as const) {
    test(`a body that goes on for ${size} bytes after its end is refused`, { timeout: 20_000 }, async () => {
      const ended = brotliCompressSync(Buffer.alloc(2 ** 20, ' '));
      const body = Buffer.concat([ended, Buffer.alloc(size, 1)]);
      await refusal(post(JSON_TYPE, body, '', { 'content-encoding': 'br' }), status, code);
    });
  }

  test('a bomb is refused while it unfolds', { timeout: 20_000 }, async () => {
    const bomb = zstdCompressSync(Buffer.alloc(600 * 2 ** 20));
    assert.ok(bomb.length < 100_000);
    const before = process.memoryUsage().arrayBuffers;
    await refusal(post(JSON_TYPE, bomb, '', { 'content-encoding': 'zstd' }), 413, 'payload_too_large');
    assert.ok(process.memoryUsage().arrayBuffers - before < 200 * 2 ** 20);
  });

  const npy = createFloatNpy([1, 2, 3, 4]);
  const zeros = (n: number) => Buffer.alloc(n);
  const header = Buffer.from('{"__metadata__":{},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  const safetensors = Buffer.concat([
    Buffer.from([header.byteLength, 0, 0, 0, 0, 0, 0, 0]),
    header,
    zeros(4),
  ]);
  for (const [what, file, query, hint] of [
    ['a .npy file', npy, '', /application\/x-npy/],
    ['a .npy file of version 2', Buffer.from(npy).fill(2, 6, 7), '?dtype=float16', /application\/x-npy/],
    ['a .npy file cut to an odd length', npy.subarray(0, 21), '', /application\/x-npy/],
    ['a .npz file', Buffer.concat([Buffer.from('PK\x03\x04\x2d\0\0\0\0\0'), zeros(90)]), '', /\.npy file/],
    [
      'a deflated .npz file',
      Buffer.concat([Buffer.from('PK\x03\x04\x14\0\x08\0\x08\0'), zeros(90)]),
      '',
      /\.npy/,
    ],
    ['a safetensors file', safetensors, '', /\/v1\/datasets/],
    ['JSON', Buffer.from('{ "scores": [1, 2, 3, 4]} '), '?dtype=bfloat16', /application\/json/],
  ] as const)
    test(`refuses ${what} for octets, and says what to do`, async () => {
      const problem = await refusal(
        post(RAW_TYPE, file, query),
        415,
        'unsupported_media_type',
        'Content-Type',
      );
      assert.match(problem.detail, hint);
    });

  test('takes scores that begin as such files do', async () => {
    for (const mark of ['\x93NUM', '\x93NUMPY', 'PK\x03\x04', '\x08\0\0\0\0\0\0\0{"', '{"a"']) {
      const scores = Buffer.concat([Buffer.from(mark, 'latin1'), zeros(40 - mark.length)]);
      scores.writeFloatLE(1, 36);
      assert.equal((await answer(post(RAW_TYPE, scores))).n, 10);
    }
  });

  const [[, body]] = forms;
  const refused: [string, () => Promise<Response>, number, string, string?][] = [
    ['an empty body', () => post(RAW_TYPE, new Uint8Array()), 422, 'empty_scores', '/scores'],
    ['half a number', () => post(RAW_TYPE, body.subarray(0, 10)), 422, 'invalid_request', '?dtype'],
    ['another dtype', () => post(RAW_TYPE, body, '?dtype=int8'), 422, 'invalid_request', '?dtype'],
    ['beta 0', () => post(RAW_TYPE, body, '?beta=0'), 422, 'invalid_request', '?beta'],
    ['beta NaN', () => post(RAW_TYPE, body, '?beta=NaN'), 422, 'invalid_request', '?beta'],
    ['beta twice', () => post(RAW_TYPE, body, '?beta=1&beta=2'), 422, 'invalid_request', '?beta'],
    ['an unknown parameter', () => post(RAW_TYPE, body, '?betta=1'), 422, 'invalid_request', '?betta'],
    ['rows', () => post(RAW_TYPE, body, '?scope=row'), 422, 'invalid_request', '?scope'],
    [
      'deflate',
      () => post(RAW_TYPE, body, '', { 'content-encoding': 'deflate' }),
      415,
      'unsupported_media_type',
      'Content-Encoding',
    ],
    [
      'a form',
      () => post('application/x-www-form-urlencoded', body),
      415,
      'unsupported_media_type',
      'Content-Type',
    ],
    [
      'an Accept that cannot be met',
      () => post(RAW_TYPE, body, '', { accept: 'text/html' }),
      406,
      'not_acceptable',
      'Accept',
    ],
    [
      'NaN, by its index',
      () => post(RAW_TYPE, new Uint8Array(new Float32Array([1, 2, Number.NaN, 3]).buffer)),
      422,
      'non_finite_score',
      '/scores/2',
    ],
  ];
  for (const [what, send, status, code, path] of refused) {
    test(`refuses ${what}`, () => refusal(send(), status, code, path).then(() => {}));
  }

  test('a body beyond the limit is refused before it is sent', async () => {
    const response = await service.fetch('/v1/thresholds', {
      method: 'POST',
      headers: { 'content-type': JSON_TYPE },
      body: Buffer.alloc(4 * 2 ** 20 + 1, ' '),
    });
    assert.equal(response.status, 413);
    const { code, detail } = await readProblem(response);
    assert.equal(code, 'payload_too_large');
    assert.match(detail, /MAX_JSON_BYTES.*octet-stream/);
  });
});

describe('a .npy file', () => {
  test('of one axis', async () => {
    const got = await answer(post(NPY_TYPE, createFloatNpy([1, 2, 3]), '?include=kept_indices'));
    assert.deepEqual(got, await answer(postJson({ scores: [1, 2, 3], include: ['kept_indices'] })));
  });

  test('of two axes, a group per row', async () => {
    const rows = [
      [1, 1, 1],
      [9, 1, 1],
      [0, 0, 2],
    ];
    const file = createFloatNpy(rows.flat(), '(3, 3)');
    const { groups, total } = await answer(post(NPY_TYPE, file, '?scope=row&include=kept_indices'));
    for (const [row, scores] of rows.entries()) {
      const want = await answer(postJson({ scores, include: ['kept_indices'] }));
      assert.deepEqual(groups[row], { name: String(row), ...want });
    }
    const response = await post(NPY_TYPE, file, '?scope=row', { accept: RAW_TYPE });
    assert.deepEqual(JSON.parse(response.headers.get('emp-summary') ?? ''), { total });
    const mask = new Uint8Array(await response.arrayBuffer());
    const kept = groups.flatMap((group: { kept_indices: number[] }, row: number) =>
      group.kept_indices.map((i) => 3 * row + i),
    );
    assert.equal(mask.length, 2);
    assert.deepEqual(indicesOf(mask, 9), kept);
  });

  const integers = createNpy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(8));
  const refused: [string, Uint8Array, string, string, string?][] = [
    ['two axes without scope', createFloatNpy([1, 2], '(1, 2)'), '', 'invalid_request', '?scope'],
    ['rows of one axis', createFloatNpy([1, 2]), '?scope=row', 'invalid_request', '?scope'],
    ['rows of no columns', createFloatNpy([], '(2, 0)'), '?scope=row', 'empty_scores', '/scores'],
    [
      'a NaN, by row and column',
      createFloatNpy([1, 2, 3, Number.NaN], '(2, 2)'),
      '?scope=row',
      'non_finite_score',
      '/scores/1/1',
    ],
    ['a row of zeros', createFloatNpy([1, 2, 0, 0], '(2, 2)'), '?scope=row', 'all_zero_scores', '/scores/1'],
    ['integers', integers, '', 'unsupported_dtype'],
    ['a cut file', createFloatNpy([1, 2]).subarray(0, -1), '', 'malformed_npy'],
    ['something else', Buffer.from('hello'), '', 'malformed_npy'],
    ['a dtype beside it', createFloatNpy([1]), '?dtype=float32', 'invalid_request', '?dtype'],
  ];
  for (const [what, body, query, code, path] of refused) {
    test(`refuses ${what}`, () => refusal(post(NPY_TYPE, body, query), 422, code, path).then(() => {}));
  }
});

test('health is answered while a large vector is decided on', async () => {
  const body = new Uint8Array(new Float32Array(20_000_000).fill(1).buffer);
  // Over sockets: a loop without them would keep the event loop to itself.
  const url = await service.listen();
  let done = false;
  const headers = { 'content-type': RAW_TYPE };
  const deciding = fetch(`${url}/v1/thresholds`, { method: 'POST', body, headers }).finally(() => {
    done = true;
  });
  const waits: number[] = [];
  while (!done) {
    const start = performance.now();
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    waits.push(performance.now() - start);
  }
  assert.equal((await deciding).status, 200);
  assert.ok(waits.length > 3);
  const median = waits.sort((a, b) => a - b)[waits.length >> 1];
  assert.ok(median < 50, `median ${median} ms of ${waits.length}`);
});
