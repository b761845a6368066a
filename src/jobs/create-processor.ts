import { FolderStore } from '../storage/folder-store.ts';
import { readChildSettings } from './child-settings.ts';
import type { Message, Task } from './tasks/task.ts';

/** A sandboxed processor for BullMQ, to be a processor file's default export: does what the messages' tasks say. */
export async function createProcessor(
  tasks: Readonly<Record<string, () => Promise<Task<never>>>>,
): Promise<(message: Message<never>, token: string, signal: AbortSignal) => Promise<void>> {
  // The parent is gone, and with it the lock on the message: another worker will take it up.
  process.once('disconnect', () => process.exit(1));
  const { storeRoot, threads, providers } = readChildSettings();
  const store = await FolderStore.open(storeRoot);
  return async (message, _token, signal) => {
    const load = tasks[message.name];
    if (!load) throw new Error(`this version knows no task ${message.name}`);
    const { run } = await load();
    const how = await run(message, { store, threads, providers, signal });
    // BullMQ knows by this name that the message has been moved already, as the worker did before it told.
    if (how === 'returned') throw Object.assign(new Error('returned to the queue'), { name: 'WaitingError' });
  };
}
