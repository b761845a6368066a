import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const EVERY_MS = 2000;
/** Of its time, what an idle loop is busy at most. */
const IDLE = 0.2;
/** What may have come since the last collection. */
const GARBAGE_BYTES = 16 * 2 ** 20;

/**
 * Collects garbage when there may be much and nothing else is to be done. V8 collects as it allocates: after a burst of large requests an idle process would hold their memory until the next one.
 * @returns what ends it
 */
export function collectWhenIdle(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (how: { type: 'major'; flavor: 'last-resort' }) => void;
  let least = usedBytes();
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    const used = usedBytes();
    // V8 may have collected by itself.
    least = Math.min(least, used);
    if (utilization > IDLE || used < least + GARBAGE_BYTES) return;
    // The pages of the heap that it empties are given back too.
    collect({ type: 'major', flavor: 'last-resort' });
    least = usedBytes();
  }, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function usedBytes(): number {
  // Not `process.memoryUsage`, which opens a file, and throws where no more may be open.
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
