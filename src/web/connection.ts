import { signal } from '@preact/signals';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** Since when the server has not answered, and when it is asked again; null while it answers. */
export const lost = signal<{ readonly retryAt: number } | null>(null);

let failures = 0;
let pause: { readonly over: Promise<void>; readonly end: () => void } | null = null;

/** Resolves when it is time to ask the server again: one pause for all who wait, which grows. */
export function whenToRetry(): Promise<void> {
  if (pause) return pause.over;
  const { promise, resolve } = Promise.withResolvers<void>();
  const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
  lost.value = { retryAt: Date.now() + ms };
  const timer = setTimeout(end, ms);
  pause = { over: promise, end };
  return promise;

  function end(): void {
    clearTimeout(timer);
    pause = null;
    resolve();
  }
}

/** Asks again at once. */
export function retryNow(): void {
  pause?.end();
}

/** The server has answered: whatever it said, it is there. */
export function markAnswered(): void {
  failures = 0;
  lost.value = null;
}
