import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ChildFailure } from '../../src/jobs/child-pool.ts';
import { serviceFailure } from '../../src/jobs/result.ts';
import type { Store } from '../../src/storage/store.ts';

test('what a client is told of a failure that it did not cause', () => {
  const store = { root: '/srv/data' } as Store;
  const told = (message: string, attempts: number) => serviceFailure(new Error(message), attempts, store);
  assert.equal(told('ENOSPC: no space left on device, write', 3).code, 'insufficient_storage');
  const end = { kind: 'gone', code: null, signal: 'SIGKILL', lastWords: '' } as const;
  assert.deepEqual(serviceFailure(new ChildFailure('crashed', end), 3, store), {
    code: 'worker_crashed',
    detail: 'The computing process ended by SIGKILL in each of 3 attempts. Memory may have run out.',
    errors: [],
  });
  assert.equal(told('job stalled more than allowable limit', 1).code, 'worker_crashed');
  assert.deepEqual(told("EACCES: permission denied, open '/srv/data/jobs/x'\n    at secret", 2), {
    code: 'internal_error',
    detail: "The job failed in each of 2 attempts: EACCES: permission denied, open '/jobs/x'",
    errors: [],
  });
  const lost = new URL('../../src/criteria/lost.ts', import.meta.url);
  const { detail } = told(`Cannot find module '${fileURLToPath(lost)}'`, 1);
  assert.equal(detail, "The job failed once: Cannot find module 'src/criteria/lost.ts'");
});
