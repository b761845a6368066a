import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { JobLook } from '../../src/jobs/follow-job.ts';
import type { Job } from '../../src/jobs/job.ts';
import { JobWatches } from '../../src/jobs/job-watches.ts';
import { Wakeups } from '../../src/jobs/wakeups.ts';

const lookOf = (count: number, isEnd = false): JobLook => ({
  events: Array.from({ length: count }, (_, i) => ({ id: i + 1, stage: 'score', percent: i })),
  end: isEnd ? { event: 'succeeded', data: {} as Job } : null,
});

/** A job that changes where the test says so, and how often it was looked at. */
function openWatches() {
  const news = new Wakeups();
  const job = { now: lookOf(0) as JobLook | null | Error, looks: 0 };
  const watches = new JobWatches({
    subscribe: (id) => news.subscribe(id),
    async look() {
      job.looks++;
      if (job.now instanceof Error) throw job.now;
      return job.now;
    },
  });
  return {
    watches,
    job,
    async change(to: JobLook | null | Error) {
      job.now = to;
      news.wake('a');
      for (let i = 0; i < 5; i++) await turn();
    },
  };
}
const never = new AbortController().signal;

test('followers share the looks at a job; one who is slow sees the latest only', async () => {
  const { watches, job, change } = openWatches();
  const quick = Array.from({ length: 3 }, () => watches.looks('a', never));
  const slow = watches.looks('a', never);
  await Promise.all([...quick, slow].map((looks) => looks.next()));
  assert.equal(job.looks, 1);
  for (const count of [1, 2, 3]) {
    const next = quick.map((looks) => looks.next());
    await change(lookOf(count));
    for (const look of next) assert.equal((await look).value?.events.length, count);
  }
  assert.equal(job.looks, 4);
  assert.equal((await slow.next()).value?.events.length, 3);
  await change(lookOf(3, true));
  for (const looks of [...quick, slow]) {
    assert.ok((await looks.next()).value?.end);
    assert.equal((await looks.next()).done, true);
  }
});

test('nobody looks when all have left, and who comes again sees the job as it is then', async () => {
  const { watches, job, change } = openWatches();
  const leaving = new AbortController();
  const looks = watches.looks('a', leaving.signal);
  await looks.next();
  const next = looks.next();
  leaving.abort();
  assert.equal((await next).done, true);
  await change(lookOf(2));
  assert.equal(job.looks, 1);
  const again = watches.looks('a', never);
  assert.equal((await again.next()).value?.events.length, 2);
  const gone = again.next();
  await change(null);
  assert.equal((await gone).done, true);
});

test('a look that fails ends those who follow, and whoever comes next is not told of it', async () => {
  const { watches, change } = openWatches();
  const looks = watches.looks('a', never);
  await looks.next();
  const next = assert.rejects(looks.next(), /broken/);
  await change(new Error('broken'));
  await next;
  await change(lookOf(1));
  const later = watches.looks('a', never);
  assert.equal((await later.next()).value?.events.length, 1);
  await later.return();
});
