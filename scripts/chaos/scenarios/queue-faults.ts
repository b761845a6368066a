import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RestartableService } from '../../../test/services/service.ts';
import type { Scenario, Trial } from '../scenario.ts';

/** Longer than the lock of a running job. */
const LONG_MS = 10_000;
const SHORT_MS = 3000;

/** Jobs wait and one runs when the fault begins, and another is submitted while it lasts. */
async function during({ site, ledger, queue }: Trial, fault: (queue: RestartableService) => Promise<void>) {
  if (!queue) throw new Error('the scenario has no queue');
  const first = await ledger.submit();
  await ledger.submit('scoring');
  await ledger.submit();
  await site.client.until(first, ({ progress }) => progress?.stage === 'curvature');
  ledger.injected();
  const faulty = fault(queue);
  const submitting = sleep(500).then(() => ledger.submit('scoring'));
  // Both are waited for, so that nothing of a fault goes on behind the scenario's back.
  const ended = await Promise.allSettled([faulty, submitting]);
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
}

async function ask(queue: RestartableService, ...command: [string, ...string[]]): Promise<void> {
  const client = new Redis(queue.url);
  try {
    await client.call(...command);
  } finally {
    client.disconnect();
  }
}

async function away(queue: RestartableService, signal: NodeJS.Signals): Promise<void> {
  await queue.halt(signal);
  await sleep(SHORT_MS);
  await queue.restart();
}

/** What clients of a failed-over Redis meet: under the same address, a server that knows nothing. */
async function failOverToEmpty(queue: RestartableService): Promise<void> {
  await queue.halt('SIGKILL');
  for (const name of await readdir(queue.directory))
    await rm(join(queue.directory, name), { recursive: true });
  await queue.restart();
}

const redis = (name: string, fault: (queue: RestartableService) => Promise<void>): Scenario => ({
  part: 'redis',
  name,
  backend: 'redis',
  run: (trial) => during(trial, fault),
});

const postgres = (name: string, fault: (queue: RestartableService) => Promise<void>): Scenario => ({
  part: 'postgres',
  name,
  backend: 'postgres',
  run: (trial) => during(trial, fault),
});

export const QUEUE_FAULTS: readonly Scenario[] = [
  redis(`Redis stopped, started again after ${SHORT_MS / 1000} s`, (queue) => away(queue, 'SIGTERM')),
  redis(`Redis killed, started again after ${SHORT_MS / 1000} s`, (queue) => away(queue, 'SIGKILL')),
  redis(`Redis frozen for ${LONG_MS / 1000} s (SIGSTOP)`, async (queue) => {
    queue.signal('SIGSTOP');
    await sleep(LONG_MS);
    queue.signal('SIGCONT');
  }),
  redis(`Redis out of memory for ${LONG_MS / 1000} s (maxmemory)`, async (queue) => {
    await ask(queue, 'CONFIG', 'SET', 'maxmemory', '1');
    await sleep(LONG_MS);
    await ask(queue, 'CONFIG', 'SET', 'maxmemory', '0');
  }),
  redis('Redis emptied (FLUSHALL)', (queue) => ask(queue, 'FLUSHALL')),
  redis('Redis failed over to an empty replica', failOverToEmpty),
  postgres(`PostgreSQL restarted (fast), away for ${SHORT_MS / 1000} s`, (queue) => away(queue, 'SIGINT')),
  postgres(`PostgreSQL restarted (immediate), away for ${SHORT_MS / 1000} s`, (queue) =>
    away(queue, 'SIGQUIT'),
  ),
];
