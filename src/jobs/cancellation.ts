import { access } from 'node:fs/promises';
import type { Store } from '../storage/store.ts';

const MARKER = 'cancel.json';
/** Half of it is what a cancellation waits on average; a look is one system call. */
const POLL_MS = 100;

/** Leaves word in the job's folder that it is to end. The child computing it, in whatever process and on whatever machine, reads it there. */
export async function requestCancellation(store: Store, id: string): Promise<void> {
  await store.writeJson('jobs', id, MARKER, { requested_at: new Date().toISOString() });
}

/** A signal that aborts when the job's cancellation is requested, or was before. Dispose of it to stop looking. */
export async function watchCancellation(
  store: Store,
  id: string,
): Promise<Disposable & { signal: AbortSignal }> {
  const controller = new AbortController();
  const path = store.path('jobs', id, MARKER);
  const look = () =>
    access(path).then(
      () => controller.abort(),
      () => {},
    );
  await look();
  const timer = setInterval(look, POLL_MS);
  return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) };
}
