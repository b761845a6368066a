import type { Store } from '../storage/store.ts';
import { sha256 } from './request-hash.ts';

/**
 * How many promises samples have been tested for, the job's own included: each is another chance to be wrong. A job has the same number in every attempt, and keeps it when it is deleted.
 * @param samples a text that is the same for the same samples, whatever they are called
 */
export async function countPromise(store: Store, samples: string, jobId: string): Promise<number> {
  for (let use = 1; ; use++) {
    // No idempotency key of a client holds a line break.
    const id = sha256(`promise\n${samples}\n${use}`);
    if ((await store.decideOnce({ kind: 'idempotency', id }, jobId)) === jobId) return use;
  }
}
