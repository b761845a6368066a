import { parentPort } from 'node:worker_threads';
import { PassExecutor } from './executor.ts';
import type { ThreadMessage, ThreadReply } from './threads.ts';

/** The worker thread's side of `PassThreads`: one pass at a time, answered with what this thread gathered. */
const executor = new PassExecutor();

parentPort?.on('message', ({ pass, control }: ThreadMessage) => {
  let reply: ThreadReply;
  try {
    reply = { outcome: executor.run(pass, control) };
  } catch (error) {
    reply = { error };
  }
  parentPort?.postMessage(reply);
});
