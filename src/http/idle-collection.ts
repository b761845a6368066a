import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const EVERY_MS = 2000;
/** Of its time, what an idle loop is busy at most. */
const IDLE = 0.2;
/** What may have come since the last collection of an idle loop. */
const GARBAGE_BYTES = 16 * 2 ** 20;
/** A loop that is busier than this has no time for it: V8 collects as it allocates. */
const BUSY = 0.8;
/** What may have come of one that is neither: small requests that go on for ever would keep the memory of large ones. */
const MUCH_GARBAGE_BYTES = 128 * 2 ** 20;

/**
 * Collects garbage when there may be much and little else is to be done. V8 collects as it allocates: after a burst of large requests an idle process would hold their memory until the next one.
 * @returns what ends it
 */
export function collectWhenIdle(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (how: {
    type: 'major';
    flavor: 'regular' | 'last-resort';
  }) => void;
  let least = usedBytes();
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    const used = usedBytes();
    // V8 may have collected by itself.
    least = Math.min(least, used);
    const isIdle = utilization <= IDLE;
    if (utilization > BUSY || used < least + (isIdle ? GARBAGE_BYTES : MUCH_GARBAGE_BYTES)) return;
    // Of an idle one the pages of the heap that are emptied are given back too, which takes several passes.
    collect({ type: 'major', flavor: isIdle ? 'last-resort' : 'regular' });
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
