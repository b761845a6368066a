import { FolderStore } from '../storage/folder-store.ts';
import { isRemoved } from '../storage/store-place.ts';
import { tenantOf } from '../storage/tenant.ts';
import { serveParent } from './child-program.ts';
import { readChildSettings } from './child-settings.ts';
import type { ProgressEvent } from './job.ts';
import { jobFields } from './job-fields.ts';
import type { Message, Task, TaskEnd, TenantMessage } from './tasks/task.ts';

/** The program of a worker's children: does what the messages' tasks say. */
export async function serveTasks(tasks: Readonly<Record<string, () => Promise<Task<never>>>>): Promise<void> {
  const settings = readChildSettings();
  // What makes lines is not loaded where none are asked for.
  const { logLevel } = settings;
  const childLog = logLevel ? (await import('./create-log.ts')).createLog(logLevel) : null;
  serveParent<Message<TenantMessage>, TaskEnd, readonly ProgressEvent[]>(
    async (message, context) => {
      const load = tasks[message.name];
      if (!load) throw new Error(`this version knows no task ${message.name}`);
      const { run } = await load();
      const place = { dataDirectory: settings.storeRoot, tenant: tenantOf(message.data) };
      const store = FolderStore.ofParent(place.dataDirectory, place.tenant);
      // Of a directory that is gone or takes no writes, the jobs wait.
      await store.sweep().catch(() => {});
      // What a job is about, names and numbers, is no business of a log.
      const { traceId } = message;
      const log = childLog?.child({ ...jobFields(message), ...(traceId && { trace_id: traceId }) }) ?? null;
      const began = performance.now();
      log?.info({ task: message.name }, 'computing');
      const work = run(message as Message<never>, { store, log, ...settings, ...context });
      const end = await work.catch(async (error): Promise<TaskEnd> => {
        // Nobody waits for it any more, and there is no place for its result.
        if (await isRemoved(place).catch(() => false)) return 'done';
        throw error;
      });
      log?.info({ task: message.name, end, ms: Math.round(performance.now() - began) }, 'computed');
      return end;
    },
    ({ name, id }) => `${name} ${id}`,
  );
}
