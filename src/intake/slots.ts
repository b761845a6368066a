import PQueue from 'p-queue';
import { EmpError } from '../core/errors.ts';
import type { Tenant } from '../storage/tenant.ts';

/** Who asks for work that is done a few at a time. */
export interface Asker {
  /** The address that the request comes from. */
  readonly client: string;
  /** Whose models are looked into. */
  readonly tenant: Tenant;
  /** Aborts when nobody waits for an answer any more. */
  readonly signal: AbortSignal;
}

/** How long one waits for a slot: whoever comes behind many others is told so while their own patience lasts, 30 seconds as a rule. */
const PATIENCE_MS = 20_000;

/** How many things may go on at a time, one of each client; further ones wait in the order in which they came. */
export class Slots {
  readonly #all: PQueue;
  readonly #ofClients = new Map<string, PQueue>();

  constructor(count: number) {
    this.#all = new PQueue({ concurrency: count });
  }

  /**
   * Waits for a slot, which is given back when the value is disposed of.
   * @throws EmpError not_ready where none was free for too long; the signal's reason when it aborts first
   */
  async take({ client, signal }: Pick<Asker, 'client' | 'signal'>): Promise<Disposable> {
    const either = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
    using stack = new DisposableStack();
    try {
      stack.use(await takeOf(this.#queueOf(client), either));
      stack.use(await takeOf(this.#all, either));
      return stack.move();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new EmpError('not_ready', 'other models are being read; try again');
    }
  }

  #queueOf(client: string): PQueue {
    const known = this.#ofClients.get(client);
    if (known) return known;
    const queue = new PQueue({ concurrency: 1 });
    this.#ofClients.set(client, queue);
    const forget = async () => {
      await queue.onIdle();
      if (queue.size + queue.pending > 0) return forget();
      this.#ofClients.delete(client);
    };
    // Idle it is for now: whoever asked is about to be added.
    queueMicrotask(forget);
    return queue;
  }
}

/** Waits for its turn in a queue, which goes on when the value is disposed of. @throws the signal's reason when it aborts first */
export async function takeOf(queue: PQueue, signal: AbortSignal): Promise<Disposable> {
  signal.throwIfAborted();
  const slot = Promise.withResolvers<Disposable>();
  const leave = () => slot.reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  // The queue is not told of the signal: it would give the slot away at once, while what has it has not ended yet.
  void queue.add(async () => {
    if (signal.aborted) return;
    signal.removeEventListener('abort', leave);
    const end = Promise.withResolvers<void>();
    slot.resolve({ [Symbol.dispose]: end.resolve });
    await end.promise;
  });
  return slot.promise;
}
