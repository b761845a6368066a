import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** Who waits for news of which job. News is only a hint to look again: it may be missed, come late, or come for nothing. */
export class Wakeups {
  /** A subscriber is a listener: any number may look at one job. */
  readonly #news = new EventEmitter().setMaxListeners(0);

  wake(id: string): void {
    this.#news.emit(id);
  }

  /** Dispose of it when no longer interested. */
  subscribe(id: string): Subscription {
    const subscription = new Subscription(() => this.#news.off(id, subscription.wake));
    this.#news.on(id, subscription.wake);
    return subscription;
  }
}

export class Subscription {
  readonly #unsubscribe: () => void;
  #news = new AbortController();

  constructor(unsubscribe: () => void) {
    this.#unsubscribe = unsubscribe;
  }

  readonly wake = (): void => this.#news.abort();

  /** Resolves at news since the last call, after `timeoutMs`, or when `signal` aborts. Never rejects. */
  async next(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const { signal: news } = this.#news;
    await sleep(timeoutMs, undefined, { signal: signal ? AbortSignal.any([news, signal]) : news }).catch(
      () => {},
    );
    if (news.aborted) this.#news = new AbortController();
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
