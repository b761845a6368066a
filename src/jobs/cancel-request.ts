import type { Store } from '../storage/store.ts';

const REQUEST = 'cancel.json';

/** Leaves word that a job is to end, for whoever computes it, now or after a crash; news of it may be lost. */
export async function askToCancel(store: Store, id: string): Promise<void> {
  await store.writeText('jobs', id, REQUEST, JSON.stringify({ requested_at: new Date().toISOString() }));
}

export async function isCancelAsked(store: Store, id: string): Promise<boolean> {
  return (await store.readText('jobs', id, REQUEST)) !== null;
}
