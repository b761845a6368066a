import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSite, readTrace, request } from './site.ts';

// A service in a process of its own, whose idle child is killed again and again while the next job is on its way.
const [settings = '', trace = ''] = process.argv.slice(2);
const site = await openSite(JSON.parse(settings));
for (let round = 0; round < 40; round++) {
  const pid = (await readTrace(trace)).at(-1)?.pid;
  const submitted = site.jobs.submit(request({ trace }));
  // Somewhere in these milliseconds the worker reaches for the child.
  await sleep(round / 5);
  if (pid !== undefined) kill(pid);
  const { job } = await submitted;
  assert.equal((await site.jobs.wait(job.id, 20_000))?.status, 'succeeded');
}
await site.close();

/** The child may have died a round ago: killed when its job was just done. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
  }
}
