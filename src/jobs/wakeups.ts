import { setTimeout as sleep } from 'node:timers/promises';

/** Who waits for news of which job. News is only a hint to look again: it may be missed, come late, or come for nothing. */
export class Wakeups {
  readonly #subscriptions = new Map<string, Set<Subscription>>();

  wake(id: string): void {
    for (const subscription of this.#subscriptions.get(id) ?? []) subscription.wake();
  }

  /** Dispose of it when no longer interested. */
  subscribe(id: string): Subscription {
    const all = this.#subscriptions.get(id) ?? new Set();
    this.#subscriptions.set(id, all);
    const subscription = new Subscription(() => {
      all.delete(subscription);
      if (all.size === 0 && this.#subscriptions.get(id) === all) this.#subscriptions.delete(id);
    });
    all.add(subscription);
    return subscription;
  }
}

export class Subscription {
  readonly #unsubscribe: () => void;
  #news = new AbortController();

  constructor(unsubscribe: () => void) {
    this.#unsubscribe = unsubscribe;
  }

  wake(): void {
    this.#news.abort();
  }

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
