import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ProgressWriter, readLastProgress, readProgress } from '../../src/jobs/progress-log.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-progress-'));
});
after(() => rm(directory, { recursive: true, force: true }));

test('every stage is noted, and within one no more than five updates a second', async () => {
  const path = join(directory, 'throttled');
  {
    using writer = new ProgressWriter(path);
    for (let i = 0; i < 1000; i++) writer.report({ stage: 'score', percent: i / 20 });
    writer.report({ stage: 'decide', percent: 50.04 });
    writer.report({ stage: 'apply', percent: 60 });
  }
  const { events } = await readProgress(path, 0);
  assert.deepEqual(events, [
    { stage: 'score', percent: 0 },
    { stage: 'decide', percent: 50 },
    { stage: 'apply', percent: 60 },
  ]);
  assert.deepEqual(await readLastProgress(path), { stage: 'apply', percent: 60 });
});

test('reading goes on where it stopped; a line under way waits, a torn one counts and says nothing', async () => {
  const path = join(directory, 'resumed');
  assert.deepEqual(await readProgress(path, 0), { events: [], offset: 0 });
  assert.equal(await readLastProgress(path), null);
  await appendFile(path, '{"stage":"score","percent":1}\n{"stage":"sc');
  const first = await readProgress(path, 0);
  assert.deepEqual(first.events, [{ stage: 'score', percent: 1 }]);
  assert.deepEqual(await readProgress(path, first.offset), { events: [], offset: first.offset });
  await appendFile(path, '{"stage":"score","percent":0}\n{"stage":"decide","percent":2}\n');
  const second = await readProgress(path, first.offset);
  assert.deepEqual(second.events, [null, { stage: 'decide', percent: 2 }]);
  assert.deepEqual(await readLastProgress(path), { stage: 'decide', percent: 2 });
});
