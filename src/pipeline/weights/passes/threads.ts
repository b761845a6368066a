import { Worker } from 'node:worker_threads';
import { createControl, type PassControl, requestAbort, shareDone } from './control.ts';
import { PassExecutor, type PassOutcome } from './executor.ts';
import type { Pass } from './operation.ts';

export interface ThreadMessage {
  readonly pass: Pass;
  readonly control: PassControl;
}

export type ThreadReply = { readonly outcome: PassOutcome } | { readonly error: unknown };

/** How often progress is looked at and an abort passed on. */
const POLL_MS = 50;

/**
 * Worker threads that take a pass's chunks in turn, with blocking reads and writes into their own kernels; the calling thread's
 * event loop stays free. With no threads a pass runs at once on the calling thread: best for small models, where starting threads costs more than the work.
 */
export class PassThreads implements AsyncDisposable {
  readonly #workers: Worker[];
  readonly #inline = new PassExecutor();

  constructor(count: number) {
    this.#workers = Array.from({ length: count }, () => new Worker(new URL('./thread.ts', import.meta.url)));
  }

  /**
   * Runs one pass over all its chunks.
   * @param onShare told from time to time what share of the pass is done, 0 to 1
   * @returns what each thread gathered
   */
  async run(pass: Pass, signal: AbortSignal, onShare: (done: number) => void): Promise<PassOutcome[]> {
    signal.throwIfAborted();
    const control = createControl();
    if (this.#workers.length === 0) return [this.#inline.run(pass, control)];
    const timer = setInterval(() => {
      if (signal.aborted) requestAbort(control);
      onShare(shareDone(control));
    }, POLL_MS);
    try {
      const settled = await Promise.allSettled(
        this.#workers.map((worker) =>
          ask(worker, { pass, control }).catch((error) => {
            requestAbort(control);
            throw error;
          }),
        ),
      );
      signal.throwIfAborted();
      return settled.map((result) => {
        if (result.status === 'rejected') throw result.reason;
        return result.value;
      });
    } finally {
      clearInterval(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function ask(worker: Worker, message: ThreadMessage): Promise<PassOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<PassOutcome>();
  const onMessage = (reply: ThreadReply) => {
    if ('outcome' in reply) resolve(reply.outcome);
    else reject(reply.error);
  };
  worker.once('message', onMessage).once('error', reject);
  worker.postMessage(message);
  return promise.finally(() => worker.off('message', onMessage).off('error', reject));
}
