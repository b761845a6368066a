import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { childEnvironment } from '../../src/jobs/child-settings.ts';
import { createProcessor } from '../../src/jobs/create-processor.ts';
import type { Message, Task } from '../../src/jobs/tasks/task.ts';

let storeRoot: string;
const environment = process.env;
before(async () => {
  storeRoot = await mkdtemp(join(tmpdir(), 'emp-tasks-'));
  process.env = childEnvironment({ storeRoot, threads: 2, providers: ['cpu'] });
});
after(async () => {
  process.env = environment;
  await rm(storeRoot, { recursive: true });
});

test('a message is given to the task of its name; one that was given back is told to BullMQ', async () => {
  const heard: unknown[] = [];
  const task = <D>(how: 'done' | 'returned'): Task<D> => ({
    async run({ data }, { threads, signal }) {
      heard.push([data, threads, signal.aborted]);
      return how;
    },
  });
  const process = await createProcessor({
    prune: async () => task<{ model_id: string }>('done'),
    notify: async () => task<{ url: string }>('returned'),
  });
  const { signal } = new AbortController();
  const send = (name: string, data: object) => process({ name, data } as Message<never>, '', signal);
  await send('prune', { model_id: 'a' });
  await assert.rejects(send('notify', { url: 'b' }), { name: 'WaitingError' });
  await assert.rejects(send('search', {}), /knows no task search/);
  assert.deepEqual(heard, [
    [{ model_id: 'a' }, 2, false],
    [{ url: 'b' }, 2, false],
  ]);
});
