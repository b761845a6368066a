import { setTimeout as sleep } from 'node:timers/promises';
import { connectBackend } from '../../../src/jobs/backends/connect.ts';
import { isEnded } from '../client.ts';
import type { Scenario, Trial } from '../scenario.ts';

/** What the second worker gets after it has noticed a stalled job. */
const HEAD_START_MS = 1000;

/** A worker is stopped until its lock has run out and a second worker has the job, which both then finish. */
async function stall({ site, ledger }: Trial, withChild: boolean): Promise<void> {
  const id = await ledger.submit();
  await ledger.submit('scoring');
  await site.client.until(id, ({ progress }) => progress?.stage === 'curvature');
  const stopped = withChild ? await site.descendants('worker') : [];
  ledger.injected();
  site.signal('worker', 'SIGSTOP');
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');
  try {
    await site.start('worker', 'second worker');
    await site.client.until(id, isEnded);
    await sleep(HEAD_START_MS);
  } finally {
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    site.signal('worker', 'SIGCONT');
  }
  await sleep(HEAD_START_MS);
}

export const DOUBLE_DELIVERY: readonly Scenario[] = [
  {
    part: 'delivery',
    name: 'Worker stopped until a second one took its job up; its child computes on',
    backend: 'redis',
    run: (trial) => stall(trial, false),
  },
  {
    part: 'delivery',
    name: 'Worker and child stopped until a second worker took the job up',
    backend: 'redis',
    run: (trial) => stall(trial, true),
  },
  {
    part: 'delivery',
    name: 'The message of a job delivered again, while it runs and after its end',
    backend: 'redis',
    async run({ site, ledger, queue }) {
      const backend = await connectBackend({ redisUrl: queue?.url, dataDirectory: site.directory });
      const messages = backend.createQueue('long');
      try {
        const id = await ledger.submit();
        const again = async () => {
          ledger.injected();
          await messages.addBulk([{ name: 'prune', data: { model_id: 'mdl_0' }, opts: { jobId: id } }]);
        };
        await site.client.until(id, ({ progress }) => progress?.stage === 'curvature');
        await again();
        await site.client.until(id, isEnded);
        await sleep(HEAD_START_MS);
        await again();
        await sleep(HEAD_START_MS);
      } finally {
        await messages.close();
        await backend.close();
      }
    },
  },
];
