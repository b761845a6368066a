import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_PAUSE_MS = 250;
/** Room that comes back is used within this. */
const LONGEST_PAUSE_MS = 5000;

/**
 * Tries again, ever more slowly, what may work later, as a write to a disk that is full.
 * @param isPassing whether an error may pass; any other is thrown
 * @throws AbortError when `signal` aborts between two attempts
 */
export async function retryWrite<T>(
  write: () => Promise<T>,
  isPassing: (error: unknown) => boolean,
  signal?: AbortSignal,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await write();
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    await sleep(pauseMs, undefined, signal && { signal });
  }
}
