import { serveTasks } from '../../src/jobs/serve-tasks.ts';
import type { Task } from '../../src/jobs/tasks/task.ts';

/** A child with two tasks, which tell what they see. */
const task = <D>(how: 'done' | 'returned'): Task<D> => ({
  async run({ data }, { threads, memoryMebibytes, signal, tell }) {
    tell([{ id: 1, stage: JSON.stringify([data, threads, memoryMebibytes, signal.aborted]), percent: 0 }]);
    return how;
  },
});
await serveTasks({
  prune: async () => task<{ model_id: string }>('done'),
  notify: async () => task<{ url: string }>('returned'),
});
