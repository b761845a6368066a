import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
let url = '';
before(async () => {
  service = await openTestApp();
  url = await service.listen();
});
after(() => service.close());

/** How long the longest of the health checks took that were asked one after another until `end`. */
async function longestHealthCheck(end: Promise<unknown>): Promise<number> {
  let isOver = false;
  let longest = 0;
  const over = end.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const asked = performance.now();
    await (await fetch(`${url}/healthz`)).arrayBuffer();
    longest = Math.max(longest, performance.now() - asked);
  }
  await over;
  return longest;
}

describe('globs made for the names of a model do not keep others waiting', () => {
  for (const [tensors, globs] of [
    [200, 20],
    [1000, 64],
  ] as const) {
    test(`${tensors} names of 1,000 characters, ${globs} globs`, { timeout: 30_000 }, async () => {
      const names = Array.from({ length: tensors }, (_, i) => `${'a'.repeat(1000)}${i}.weight`);
      const form = new FormData();
      form.append(
        'file',
        fileOf(createSafetensors(Object.fromEntries(names.map((name) => [name, [2, 2]])))),
        'm.safetensors',
      );
      const { id } = await readJson(await fetch(`${url}/v1/models`, { method: 'POST', body: form }));
      for (const piece of ['*a'.repeat(100), 'a'.repeat(240), 'a?'.repeat(120)]) {
        const hostile = Array.from({ length: globs - 1 }, (_, i) => `*${piece}b${i}*`);
        const asked = fetch(`${url}/v1/jobs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model_id: id, recipe: { exclude: [...hostile, '*'] } }),
        });
        assert.ok((await longestHealthCheck(asked)) < 2000);
        const response = await asked;
        const { errors } = await readProblem(response);
        assert.deepEqual([response.status, errors.length], [422, 1]);
        assert.match(errors[0].path, /^\/recipe(\/exclude(\/\d+)?)?$/);
      }
    });
  }

  for (const [what, include] of [
    ['more than 64', Array.from({ length: 65 }, () => '*')],
    ['one of more than 256 characters', ['a'.repeat(257)]],
  ] as const) {
    test(`${what} are refused`, async () => {
      const body = JSON.stringify({ model_id: 'mdl', recipe: { include } });
      const response = await service.fetch('/v1/jobs', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      const { errors } = await readProblem(response);
      assert.equal(response.status, 422);
      assert.match(errors[0].path, /^\/recipe\/include/);
    });
  }
});
