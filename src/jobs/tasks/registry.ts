import type { Task } from './task.ts';

/**
 * The kinds of message that the queue carries: a row and a file each. The file says what such a message holds and what is done about it.
 * It is loaded where that is done: who sends a message does not load what it takes.
 */
export const TASKS = {
  prune: () => import('./prune-task.ts'),
  explore: () => import('./explore-task.ts'),
  compare: () => import('./compare-task.ts'),
  retention: () => import('./retention-task.ts'),
} satisfies Record<string, () => Promise<Task<never>>>;

export type TaskName = keyof typeof TASKS;

/** What a message of that kind holds. */
export type MessageData<N extends TaskName> =
  Awaited<ReturnType<(typeof TASKS)[N]>> extends Task<infer D> ? D : never;

/** What can be put into the queue. */
export type QueuedMessage = { [N in TaskName]: [task: N, data: MessageData<N>] }[TaskName];
