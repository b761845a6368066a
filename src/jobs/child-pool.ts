import { fileURLToPath } from 'node:url';
import { EmpError, isOutOfMemory } from '../core/errors.ts';
import { type ChildEnd, type ChildLimits, LimitedChild } from './limited-child.ts';

export interface ChildRun<News> {
  /** The child is killed after so long. */
  readonly timeMs: number;
  /** Asks the child to end; its reason is told to it. */
  readonly signal: AbortSignal;
  /** How long it may take to end before it is killed. With 0, the default, it is not asked. */
  readonly patienceMs?: number;
  onNews?(news: News): void;
}

/** A child ended without an answer. */
export class ChildFailure extends Error {
  override readonly name = 'ChildFailure';
  /** `stopped`: killed because the signal had aborted. `crashed`: ended by itself, or by a signal that was not ours. */
  readonly how: 'crashed' | 'out_of_time' | 'stopped';
  readonly end: ChildEnd;

  constructor(how: ChildFailure['how'], end: ChildEnd) {
    super(`the computing process ended ${end.signal ? `by ${end.signal}` : `with code ${end.code}`}`);
    this.how = how;
    this.end = end;
  }

  /** Whether somebody else killed it: an operator, or a system without memory. Next time it may not be. */
  get isKilledByOthers(): boolean {
    return this.how === 'crashed' && this.end.signal === 'SIGKILL';
  }

  /** Whether it ended because it may have no more memory. */
  get isOutOfMemory(): boolean {
    return this.how === 'crashed' && isOutOfMemory(this.end.lastWords);
  }
}

/** A child that has grown by more when its work is done ends, so that memory comes back. onnxruntime, some sessions and a report's page take two thirds of it. */
const KEPT_BYTES = 256 * 2 ** 20;
/** One that has grown by more and finds no work for a while gives way to a fresh one. */
const SMALL_BYTES = 32 * 2 ** 20;
const IDLE_MS = 5000;

/**
 * Processes that compute what this one must not: what they work on may loop for ever, ask for any amount of memory, or crash native code. Each does one thing at a time, within limits
 * that are enforced from here, and is used again if it behaved. None outlives this process.
 */
export class ChildPool<Request, Answer, News = never> {
  readonly #start: () => LimitedChild<Request, Answer, News>;
  /** With what ends those that have grown. */
  readonly #idle = new Map<LimitedChild<Request, Answer, News>, NodeJS.Timeout | null>();
  readonly #all = new Set<LimitedChild<Request, Answer, News>>();
  #isClosed = false;

  /**
   * @param program a file that calls `serveParent`
   * @param env of `childEnvironment`
   */
  constructor(program: URL, env: NodeJS.ProcessEnv, limits: ChildLimits) {
    this.#start = () => new LimitedChild(fileURLToPath(program), env, limits);
  }

  /** Starts a child ahead of the first request. */
  warm(): void {
    if (this.#all.size === 0) this.#idle.set(this.#add(), null);
  }

  /**
   * Has a child do something. Settles when it has answered or is gone.
   * @throws EmpError that the child threw, ChildFailure where it gave no answer, the signal's reason where it had aborted; other errors of the child by their message
   */
  async run(request: Request, { timeMs, signal, patienceMs = 0, onNews }: ChildRun<News>): Promise<Answer> {
    signal.throwIfAborted();
    const [idle] = this.#idle.keys();
    const child = idle ?? this.#add();
    this.#forget(child);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    let how: ChildFailure['how'] = 'crashed';
    const kill = (why: ChildFailure['how']) => {
      how = why;
      child.kill();
    };
    const timers = [setTimeout(kill, timeMs, 'out_of_time')];
    const stop = () => {
      if (patienceMs > 0) child.send({ kind: 'stop', reason: signal.reason });
      timers.push(setTimeout(kill, patienceMs, 'stopped'));
    };
    signal.addEventListener('abort', stop, { once: true });
    child.listener = (message) => {
      if (message.kind === 'news') return onNews?.(message.news);
      if (message.kind === 'done') {
        this.#giveBack(child, message.grownBytes);
        return resolve(message.answer);
      }
      if (message.kind === 'gone') return reject(new ChildFailure(how, message));
      this.#giveBack(child, message.grownBytes);
      const { code, text, findings, stack } = message;
      reject(code ? new EmpError(code, text, findings) : Object.assign(new Error(text), { stack }));
    };
    try {
      child.send({ kind: 'run', request });
      return await promise;
    } finally {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** Kills all children, and resolves when they are gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const child of this.#all) child.kill();
    await Promise.all(Array.from(this.#all, ({ gone }) => gone));
  }

  #add(): LimitedChild<Request, Answer, News> {
    const child = this.#start();
    this.#all.add(child);
    void child.gone.then(() => {
      this.#all.delete(child);
      this.#forget(child);
    });
    return child;
  }

  #giveBack(child: LimitedChild<Request, Answer, News>, grownBytes: number): void {
    child.listener = () => {};
    if (child.isKilled) return;
    if (grownBytes > KEPT_BYTES) {
      child.kill();
      return;
    }
    const timer = grownBytes > SMALL_BYTES ? setTimeout(() => this.#renew(child), IDLE_MS).unref() : null;
    this.#idle.set(child, timer);
  }

  #renew(child: LimitedChild<Request, Answer, News>): void {
    this.#forget(child);
    child.kill();
    void child.gone.then(() => this.#isClosed || this.warm());
  }

  /** Is idle no more. */
  #forget(child: LimitedChild<Request, Answer, News>): void {
    clearTimeout(this.#idle.get(child) ?? undefined);
    this.#idle.delete(child);
  }
}
