import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Backend } from './backends/backend.ts';

/** Health checks call a file stale that is fifteen beats old. */
const BEAT_MS = 2000;

export interface HeartbeatSettings {
  /** The file, of this process alone. */
  readonly path: string;
  readonly backend: Pick<Backend, 'ping'>;
  readonly log: Logger;
}

export interface Heartbeat {
  close(): void;
}

/**
 * Writes the time into a file every two seconds, for as long as this process's event loop turns and the queue's server answers. Whoever
 * looks at the file's age sees a process that is stuck, and needs no answer of it. Jobs compute in children and do not hold it up, however long they take.
 * @throws Error with a `code` where the file cannot be written
 */
export async function startHeartbeat({ path, backend, log }: HeartbeatSettings): Promise<Heartbeat> {
  const closing = new AbortController();
  const { signal } = closing;
  const beat = async () => {
    await backend.ping();
    if (!signal.aborted) await writeFile(path, `${new Date().toISOString()}\n`);
  };
  const beatOn = async () => {
    for (let isWell = true; ; ) {
      await sleep(BEAT_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        await beat();
        isWell = true;
      } catch (error) {
        // An outage is told once, not every two seconds.
        if (isWell) log.warn({ err: error }, 'no heartbeat');
        isWell = false;
      }
    }
  };
  await beat();
  void beatOn();
  return { close: () => closing.abort() };
}
