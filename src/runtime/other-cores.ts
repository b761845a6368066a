import { cpus } from 'node:os';

/**
 * Watches what computes on this machine beside this process, other containers of it too.
 * @returns at the end of the watch, CPU cores that it took meanwhile, on average; null where the system does not tell
 */
export function watchOthers(): () => number | null {
  const [start, own, all] = [performance.now(), process.cpuUsage(), busyMs()];
  return () => {
    const { user, system } = process.cpuUsage(own);
    const others = busyMs() - all - (user + system) / 1000;
    // The system counts in ticks, this process's time is exact.
    return cpus().length === 0 ? null : Math.max(0, others / (performance.now() - start));
  };
}

function busyMs(): number {
  return cpus().reduce((sum, { times: { user, nice, sys } }) => sum + user + nice + sys, 0);
}
