import PQueue from 'p-queue';

/** How many things may go on at a time; further ones wait in the order in which they came. */
export class Slots {
  readonly #queue: PQueue;

  constructor(count: number) {
    this.#queue = new PQueue({ concurrency: count });
  }

  /** Waits for a slot, which is given back when the value is disposed of. @throws the signal's reason when it aborts first */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const slot = Promise.withResolvers<Disposable>();
    const leave = () => slot.reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    // The queue is not told of the signal: it would give the slot away at once, while what has it has not ended yet.
    void this.#queue.add(async () => {
      if (signal.aborted) return;
      signal.removeEventListener('abort', leave);
      const end = Promise.withResolvers<void>();
      slot.resolve({ [Symbol.dispose]: end.resolve });
      await end.promise;
    });
    return slot.promise;
  }
}
