import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileKernel } from '../../scripts/build-kernel.ts';

test('the committed kernel.wasm is what its source compiles to', async () => {
  const committed = readFileSync(new URL('../../src/core/kernel/kernel.wasm', import.meta.url));
  assert.deepEqual(Buffer.from(await compileKernel()), committed);
  assert.ok(committed.byteLength < 8192);
});
