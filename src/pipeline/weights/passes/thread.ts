import { parentPort } from 'node:worker_threads';
import { EmpError } from '../../../core/errors.ts';
import { PassExecutor } from './executor.ts';
import type { ThreadMessage, ThreadReply } from './threads.ts';

/** The worker thread's side of `PassThreads`: one pass at a time, answered with what this thread gathered. */
const executor = new PassExecutor();

parentPort?.on('message', ({ pass, control }: ThreadMessage) => {
  let reply: ThreadReply;
  try {
    reply = { ok: true, outcome: executor.run(pass, control) };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const known = thrown instanceof EmpError ? thrown : null;
    reply = { ok: false, error, code: known?.code ?? null, findings: known?.findings ?? [] };
  }
  parentPort?.postMessage(reply);
});
