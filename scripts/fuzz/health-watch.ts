import { Worker } from 'node:worker_threads';
import type { HealthQuestions } from './health-thread.ts';

const EVERY_MS = 20;

/** A client that asks servers every 20 ms how they are, in a thread of its own, which no other work of this process holds up. */
export class HealthWatch implements AsyncDisposable {
  readonly #thread: Worker;
  readonly #longest: Float64Array;

  constructor(...urls: string[]) {
    const shared = () => new Float64Array(new SharedArrayBuffer(8 * urls.length));
    this.#longest = shared();
    const questions: HealthQuestions = { urls, everyMs: EVERY_MS, longest: this.#longest, askedAt: shared() };
    this.#thread = new Worker(new URL('./health-thread.ts', import.meta.url), { workerData: questions });
  }

  /** Forgets the answers so far. */
  reset(): void {
    this.#longest.fill(0);
  }

  /** The longest answer of each server in milliseconds, one that has not come yet as long as it has been waited for. */
  longestMs(): number[] {
    return [...this.#longest];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.terminate();
  }
}
