interface Run<T> {
  readonly outcome: Promise<T>;
  readonly end: AbortController;
  waiters: number;
}

/** Work that is done once for all who ask for it at the same time, and ended when none of them waits any longer. */
export class SharedRuns<T> {
  readonly #joinable = new Map<string, Run<T>>();
  /** Those that were ended too, until they have. */
  readonly #unsettled = new Set<Promise<unknown>>();

  /**
   * Joins the run of that key or starts one.
   * @param signal of the one who asks: leaves the run
   * @param start begins the work; its signal aborts when nobody waits for it
   * @throws the signal's reason, and what the work throws
   */
  async join(key: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const run = this.#joinable.get(key) ?? this.#start(key, start);
    const left = Promise.withResolvers<never>();
    const leave = () => left.reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    run.waiters++;
    try {
      return await Promise.race([run.outcome, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      run.waiters--;
      if (run.waiters === 0) this.#end(key, run);
    }
  }

  /** Ends the run of that key, if there is one, for all who wait for it. */
  end(key: string): void {
    const run = this.#joinable.get(key);
    if (run) this.#end(key, run);
  }

  /** Ends all runs, and resolves when they have ended. */
  async close(): Promise<void> {
    for (const key of [...this.#joinable.keys()]) this.end(key);
    await Promise.allSettled(this.#unsettled);
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): Run<T> {
    const end = new AbortController();
    const outcome = start(end.signal);
    const run = { outcome, end, waiters: 0 };
    this.#joinable.set(key, run);
    this.#unsettled.add(outcome);
    const settle = () => {
      this.#unsettled.delete(outcome);
      this.#forget(key, run);
    };
    outcome.then(settle, settle);
    return run;
  }

  #end(key: string, run: Run<T>): void {
    this.#forget(key, run);
    run.end.abort();
  }

  #forget(key: string, run: Run<T>): void {
    if (this.#joinable.get(key) === run) this.#joinable.delete(key);
  }
}
