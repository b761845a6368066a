import { readFile } from 'node:fs/promises';
import { Gauge, type Registry } from 'prom-client';
import { runningChildren } from '../jobs/limited-child.ts';

/** What the children of this process are, and hold, by the program that they run. */
export function registerChildMemory(register: Registry): void {
  const labelNames = ['program'] as const;
  new Gauge({
    name: 'emp_children',
    help: 'Child processes that run, idle ones among them.',
    labelNames,
    registers: [register],
    collect() {
      this.reset();
      for (const { program } of runningChildren()) this.inc({ program });
    },
  });
  new Gauge({
    name: 'emp_child_resident_bytes',
    help: 'Resident memory of the child processes that run, all of a program together.',
    labelNames,
    registers: [register],
    async collect() {
      const children = runningChildren();
      const held = await Promise.all(children.map(({ pid }) => residentBytes(pid)));
      // Not before the wait: another scrape may be under way.
      this.reset();
      for (const [i, { program }] of children.entries()) this.inc({ program }, held[i]);
    },
  });
}

/** Nothing of a process that is gone, and where there is no `/proc`. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}
