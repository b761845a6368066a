import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { SERVICE, type Server, startServer } from '../../scripts/start-server.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';

/** Without bounds it took 4 to 24 seconds; a machine that others use takes its share of what is left. */
const LONGEST_ANSWER_MS = 1500;
const KEPT_BYTES = 100 * 2 ** 20;
const MEBIBYTE = 2 ** 20;
const JSON_TYPE = { 'content-type': 'application/json' };

let directory: string;
let redis: Service;
let service: Server;
let residentBefore: number;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-hostile-'));
  redis = await startRedis();
  service = await startServer(SERVICE, {
    DATA_DIR: directory,
    REDIS_URL: redis.url,
    // As the image has it: with its own, which grows, glibc keeps a hundred megabytes and more for itself.
    MALLOC_MMAP_THRESHOLD_: '131072',
  });
  // What an ordinary busy minute takes is not counted.
  const vector = new Uint8Array(new Float32Array(1e6).fill(1).buffer);
  const headers = { 'content-type': 'application/octet-stream' };
  const ordinary = Array.from({ length: 16 }, () => post('/v1/thresholds', vector, headers));
  for (const { status } of await Promise.all(ordinary)) assert.equal(status, 200);
  residentBefore = await residentBytes();
});
after(async () => {
  await service[Symbol.asyncDispose]();
  await redis.stop();
  await rm(directory, { recursive: true });
});

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly bytes: number;
}

async function post(path: string, body: string | Uint8Array | FormData, headers = {}): Promise<Answer> {
  const response = await fetch(service.baseUrl + path, { method: 'POST', body: body as string, headers });
  const text = await response.text();
  const code = response.ok ? undefined : JSON.parse(text).code;
  if (response.status === 503) assert.ok(response.headers.has('retry-after'));
  return { status: response.status, code, bytes: text.length };
}

/** What `attack` answers, while another client asks for `/healthz` all the time. */
async function whileOthersAsk(attack: () => Promise<Answer[]>): Promise<Answer[]> {
  let over = false;
  const attacked = attack().finally(() => {
    over = true;
  });
  while (!over) {
    const start = performance.now();
    assert.equal((await fetch(`${service.baseUrl}/healthz`)).status, 200);
    const waited = performance.now() - start;
    assert.ok(waited < LONGEST_ANSWER_MS, `/healthz took ${Math.round(waited)} ms`);
    await sleep(10);
  }
  return attacked;
}

const list = (count: number, item: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => item(i)).join(',');
const scores = (inner: string) => `{"scores":${inner}}`;

/** A body for each size, and how it is answered: the code of the problem, or null where it is decided on. */
const SCORES: Record<string, { make(size: number): string; answers: Record<number, string | null> }> = {
  'keys of groups': {
    make: (size) => scores(`{${list(size, (i) => `"${i.toString(36)}":[1]`)}}`),
    answers: { 1e3: null, 1e5: null, 2e5: 'invalid_request', 1e6: 'payload_too_large' },
  },
  'keys that look like indices': {
    make: (size) => scores(`{${list(size, (i) => `"${i}":[1]`)}}`),
    answers: { 1e4: null, 2e5: 'invalid_request' },
  },
  'unknown fields': {
    make: (size) => `{${list(size, (i) => `"f${i}":1`)}}`,
    answers: { 1e3: 'invalid_request', 1e5: 'invalid_request', 3e5: 'invalid_request' },
  },
  'one key blown up': {
    make: (size) => scores(`{"${'k'.repeat(size)}":[1]}`),
    answers: { 1e3: null, 1e4: 'invalid_request', 1e6: 'invalid_request' },
  },
  'keys of 16,800 characters, which V8 cannot tell apart by their hash': {
    make: (size) => scores(`{${list(size, (i) => `"${String(i).padStart(16_800, 'x')}":[1]`)}}`),
    answers: { 200: 'invalid_request', 1900: 'payload_too_large' },
  },
  'keys of 4,000 characters': {
    make: (size) => scores(`{${list(size, (i) => `"${String(i).padStart(4000, 'x')}":[1]`)}}`),
    answers: { 1000: null },
  },
  'a string blown up': {
    make: (size) => `{"scores":[1],"sign":"${'\\"'.repeat(size)}"}`,
    answers: { 1e3: 'invalid_request', 1e6: 'invalid_request' },
  },
  'open arrays': {
    make: (size) => '['.repeat(size),
    answers: { 1e3: 'invalid_request', 1e6: 'invalid_request', 4e6: 'invalid_request' },
  },
  'nested objects': {
    make: (size) => `${'{"a":'.repeat(size)}1${'}'.repeat(size)}`,
    answers: { 1e3: 'invalid_request', 6e5: 'invalid_request' },
  },
  'empty objects': {
    make: (size) => scores(`[${list(size, () => '{}')}]`),
    answers: { 1e3: 'non_finite_score', 1e6: 'invalid_request' },
  },
  'strings for scores': {
    make: (size) => scores(`[${list(size, () => '"1"')}]`),
    answers: { 1e3: 'non_finite_score', 1e6: 'invalid_request' },
  },
  'options that are many': {
    make: (size) => `{"scores":[1],"include":[${list(size, () => '1')}]}`,
    answers: { 1e3: 'invalid_request', 1e6: 'invalid_request' },
  },
  zeros: {
    make: (size) => scores(`[${list(size, () => '0')}]`),
    answers: { 1e3: 'all_zero_scores', 2e6: 'all_zero_scores' },
  },
  'indices of all': {
    make: (size) => `{"include":["kept_indices","keep_mask"],"scores":[${list(size, () => '1')}]}`,
    answers: { 1e3: null, 1e6: null, 2e6: 'invalid_request' },
  },
  'white space': {
    make: (size) => `{"scores":[1${' '.repeat(size)}]}`,
    answers: { 1e3: null, 4e6: null },
  },
};

describe('scores', () => {
  for (const [what, { make, answers }] of Object.entries(SCORES)) {
    test(what, async () => {
      for (const [size, code] of Object.entries(answers)) {
        const body = make(Number(size));
        const [answer] = await whileOthersAsk(async () => [await post('/v1/thresholds', body, JSON_TYPE)]);
        assert.equal(answer.code, code ?? undefined, `${size} of them`);
        // What is wrong is told in brief.
        if (code !== null)
          assert.ok(answer.bytes < 20_000, `${size} of them are told in ${answer.bytes} bytes`);
      }
    });
  }

  test('a refusal of what is still being sent reaches the client', async () => {
    for (let i = 0; i < 10; i++) {
      const { code } = await post('/v1/thresholds', Buffer.alloc(8 * MEBIBYTE, ' '), JSON_TYPE);
      assert.equal(code, 'payload_too_large');
    }
  });

  test('thirty bodies of some kilobytes that unfold to megabytes', async () => {
    const unfolded = [
      scores(`[${list(2e6, () => '1')}]`),
      scores(`[${list(1e6, () => '{}')}]`),
      scores(`{${list(4e5, (i) => `"${i}":1`)}}`).slice(0, 4 * MEBIBYTE),
      '['.repeat(4 * MEBIBYTE),
      ' '.repeat(100 * MEBIBYTE),
    ].map((text) => zstdCompressSync(text));
    const headers = { ...JSON_TYPE, 'content-encoding': 'zstd' };
    const answers = await whileOthersAsk(() =>
      Promise.all(
        Array.from({ length: 30 }, (_, i) => post('/v1/thresholds', unfolded[i % unfolded.length], headers)),
      ),
    );
    const statuses = new Set(answers.map(({ status }) => status));
    assert.deepEqual(
      [...statuses].filter((status) => ![200, 413, 422, 503].includes(status)),
      [],
    );
    assert.ok(statuses.has(200) && statuses.has(413) && statuses.has(422), [...statuses].join());
  });

  test('thousands of groups in each of thirty small bodies', async () => {
    const body = SCORES['keys of groups'].make(5000);
    const answers = await whileOthersAsk(() =>
      Promise.all(Array.from({ length: 30 }, () => post('/v1/thresholds', body, JSON_TYPE))),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  });
});

/** As the recipe of a job. */
const RECIPES: Record<string, { make(size: number): string; sizes: number[] }> = {
  'nested arrays': { make: (size) => '['.repeat(size) + ']'.repeat(size), sizes: [20, 1e3, 4e5] },
  'nested objects': { make: (size) => '{"a":'.repeat(size) + 1 + '}'.repeat(size), sizes: [20, 1e5] },
  'unknown keys': { make: (size) => `{${list(size, (i) => `"${i}":1`)}}`, sizes: [500, 1e5] },
  'empty objects': { make: (size) => `{"layers":[${list(size, () => '{}')}]}`, sizes: [500, 3e5] },
  'numbers for names': { make: (size) => `{"include":[${list(size, () => '1')}]}`, sizes: [500, 4e5] },
  'a key blown up': { make: (size) => `{"${'k'.repeat(size)}":1}`, sizes: [1e3, 9e5] },
  'keys of 16,800 characters': {
    make: (size) => `{${list(size, (i) => `"${String(i).padStart(16_800, 'x')}":1`)}}`,
    sizes: [60],
  },
  'a key named __proto__': { make: (size) => list(size, () => '{"__proto__":{"a":1}}'), sizes: [1] },
};

describe('a recipe', () => {
  for (const [what, { make, sizes }] of Object.entries(RECIPES)) {
    test(what, async () => {
      for (const size of sizes) {
        const recipe = make(size);
        const form = new FormData();
        form.append('recipe', recipe);
        const cut = 'cut';
        const part = (type: string) =>
          `--${cut}\r\nContent-Disposition: form-data; name="recipe"\r\nContent-Type: ${type}\r\n\r\n${recipe}\r\n--${cut}--\r\n`;
        const multipart = { 'content-type': `multipart/form-data; boundary=${cut}` };
        const answers = await whileOthersAsk(async () => [
          await post('/v1/jobs', `{"model_id":"m","recipe":${recipe}}`, JSON_TYPE),
          await post('/v1/jobs', form),
          await post('/v1/jobs', part('application/json'), multipart),
          await post('/v1/jobs', part('text/plain'), multipart),
        ]);
        for (const { code, bytes } of answers) {
          assert.equal(code, 'invalid_request', `${size} of them`);
          assert.ok(bytes < 20_000, `${size} of them are told in ${bytes} bytes`);
        }
      }
    });
  }

  test('metadata named __proto__ is refused by name, not dropped', async () => {
    const response = await fetch(`${service.baseUrl}/v1/jobs`, {
      method: 'POST',
      body: '{"model_id":"m","metadata":{"__proto__":"mine"}}',
      headers: JSON_TYPE,
    });
    const { code, errors } = (await response.json()) as { code: string; errors: { path: string }[] };
    assert.deepEqual([code, errors[0].path], ['invalid_request', '/metadata/__proto__']);
  });
});

test('what all of this took is given back', async () => {
  let kept = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 100 && kept > KEPT_BYTES; i++) {
    await sleep(500);
    kept = (await residentBytes()) - residentBefore;
  }
  assert.ok(kept < KEPT_BYTES, `${Math.round(kept / MEBIBYTE)} MiB more than before`);
});
