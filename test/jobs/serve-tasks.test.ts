import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChildPool } from '../../src/jobs/child-pool.ts';
import { childEnvironment } from '../../src/jobs/child-settings.ts';
import type { ProgressEvent } from '../../src/jobs/job.ts';
import type { Message, TaskEnd } from '../../src/jobs/tasks/task.ts';

test('a message is given to the task of its name', async () => {
  const storeRoot = await mkdtemp(join(tmpdir(), 'emp-tasks-'));
  const program = new URL('./tasks-child.ts', import.meta.url);
  const env = childEnvironment({ storeRoot, threads: 2, providers: ['cpu'], memoryMebibytes: 512 });
  const limits = { heapMebibytes: 256, memoryMebibytes: 512, threads: 0 };
  const pool = new ChildPool<Message<object>, TaskEnd, readonly ProgressEvent[]>(program, env, limits);
  const heard: unknown[] = [];
  const send = (name: string, data: object) =>
    pool.run(
      { id: 'job_1', name, data, processedOn: undefined, progress: 0 },
      {
        timeMs: 20_000,
        signal: new AbortController().signal,
        onNews: (events) => heard.push(...events.map(({ stage }) => JSON.parse(stage))),
      },
    );
  try {
    assert.equal(await send('prune', { model_id: 'a' }), 'done');
    assert.equal(await send('notify', { url: 'b' }), 'returned');
    await assert.rejects(send('search', {}), /knows no task search/);
    assert.deepEqual(heard, [
      [{ model_id: 'a' }, 2, 512, false],
      [{ url: 'b' }, 2, 512, false],
    ]);
  } finally {
    await pool.close();
    await rm(storeRoot, { recursive: true });
  }
});
