import type { Retention } from '../../storage/retention-terms.ts';
import { type Removed, removeExpired } from '../retention.ts';
import type { Message, TaskEnd, TenantMessage, Workshop } from './task.ts';

/** What the queue holds of a task that removes what a tenant has kept for as long as it is to be. */
export interface RetentionMessage extends TenantMessage {
  readonly retention: Retention;
}

export async function run(
  { data }: Message<RetentionMessage>,
  { store, signal, log }: Workshop,
): Promise<TaskEnd> {
  const onRemoved = (removed: Removed) => log?.info(removed, 'removed');
  await removeExpired(store, data.retention, { now: Date.now(), signal, onRemoved });
  return 'done';
}
