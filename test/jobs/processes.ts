import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
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

/** Waits until a process has computed for so long from now on, on whatever share of a processor it gets. */
export async function untilComputed(pid: number, cpuMs: number, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const end = (await readCpuMs(pid)) + cpuMs;
  while ((await readCpuMs(pid)) < end) {
    assert.ok(performance.now() < deadline, `process ${pid} has not computed for ${cpuMs} ms`);
    await sleep(20);
  }
}

/** Of all its threads. Linux counts in hundredths of a second. */
async function readCpuMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold anything; man 5 proc_pid_stat counts from 1.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [14, 15].map((field) => Number(fields[field - 3]));
  return 10 * ((user ?? 0) + (system ?? 0));
}
