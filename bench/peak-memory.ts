import { readFile } from 'node:fs/promises';

/**
 * The most bytes that this process has held resident; null where the system does not say. Not `resourceUsage().maxRSS`, into which Linux carries over what the parent held
 * when it forked.
 */
export async function peakBytes(): Promise<number | null> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}
