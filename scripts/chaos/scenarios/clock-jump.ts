import { glob, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario, Trial } from '../scenario.ts';

const [LIBRARY] = await Array.fromAsync(glob('/usr/lib/*/faketime/libfaketime.so.1'));
/** libfaketime looks at the file at every question for the time. */
const CLOCK = join(tmpdir(), `emp-chaos-clock-${process.pid}`);
/** A retry waits for a second. */
const BEFORE_JUMP_MS = 200;

/** The clock of API, worker and their children; monotonic time and the queue's server go on as ever. */
function setClock(offset: string): Promise<void> {
  return writeFile(CLOCK, `${offset}\n`);
}

/** A job runs, one waits to be tried again, others wait: then the clock jumps. */
async function jump({ site, ledger }: Trial, offset: string): Promise<void> {
  const first = await ledger.submit();
  await ledger.submit('scoring');
  await site.client.until(first, ({ progress }) => progress?.stage === 'curvature');
  for (const pid of await site.descendants('worker')) process.kill(pid, 'SIGKILL');
  await sleep(BEFORE_JUMP_MS);
  ledger.injected();
  await setClock(offset);
  await ledger.submit();
}

function jumping(name: string, offset: string): Scenario {
  return {
    part: 'clock',
    name,
    backend: 'redis',
    environment: {
      LD_PRELOAD: LIBRARY ?? '',
      FAKETIME_TIMESTAMP_FILE: CLOCK,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    async obstacle() {
      await setClock('+0');
      return LIBRARY === undefined ? 'libfaketime is not installed (Debian: faketime)' : null;
    },
    run: (trial) => jump(trial, offset),
  };
}

export const CLOCK_JUMPS: readonly Scenario[] = [
  jumping('Clock jumps an hour ahead while a retry waits', '+3600'),
  jumping('Clock jumps an hour back while a retry waits', '-3600'),
];
