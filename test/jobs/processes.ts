import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether a process is there; a dead one whose parent has not asked for it is. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
    return false;
  }
}

/** Waits until a process is gone. */
export async function untilGone(pid: number, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    assert.ok(performance.now() < deadline, `process ${pid} is there after ${timeoutMs} ms`);
    await sleep(20);
  }
}
