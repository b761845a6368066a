import { serveTasks } from './serve-tasks.ts';
import { TASKS } from './tasks/registry.ts';

/** The child process of a worker: one message after the other, from the store into the store. It never speaks to the queue's server. */
await serveTasks(TASKS);
