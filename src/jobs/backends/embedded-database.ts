import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Notification, Rows, Statement, StatementReply } from './database-thread.ts';

/** Statements that are on their way to the thread or wait there; it takes them in their order. */
const UNDER_WAY = 64;

/** One that takes longer hangs: PostgreSQL of a few thousand rows, on a busy machine and after a crash, needs some seconds. */
const STATEMENT_MS = 60_000;
/** What fails again so soon rests as long: opening a database takes a processor half a second. */
const REST_MS = 1000;
/** What of a session is lost with its thread. */
const OF_SESSION = /^\s*(SET|LISTEN)\b/i;

/** PGlite in a thread of its own: a statement takes it milliseconds, in which this thread answers requests. A thread that ends or hangs is replaced by one that opens the same folder, in a session of the same settings, but not more than once a second. Emits `notification`. */
export class EmbeddedDatabase extends EventEmitter<{ notification: [Notification] }> {
  readonly #pool: Piscina<Statement, StatementReply>;
  readonly #session: string[] = [];
  readonly #onEnd: (error: unknown) => void;
  /** When the last thread ended, and why. */
  #ended: { readonly at: number; readonly error: Error; readonly isResting: boolean } | null = null;

  /**
   * @param folder where it is stored; made where it is missing
   * @param onEnd hears why a thread has ended
   */
  constructor(folder: string, onEnd: (error: unknown) => void = () => {}) {
    super();
    this.setMaxListeners(0);
    this.#pool = new Piscina({
      filename: fileURLToPath(new URL('./database-thread.ts', import.meta.url)),
      workerData: folder,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: UNDER_WAY,
      // A thread that sleeps until there is a statement would not hear what its database does meanwhile.
      atomics: 'disabled',
    });
    this.#pool.on('message', (notification: Notification) => this.emit('notification', notification));
    this.#pool.on('error', onEnd);
    this.#onEnd = onEnd;
  }

  /** @throws Error with PostgreSQL's `code` where the statement fails, others where the thread ends */
  async run(statement: Omit<Statement, 'session'>): Promise<Rows> {
    if (this.#ended?.isResting && performance.now() - this.#ended.at < REST_MS) throw this.#ended.error;
    const asked = { ...statement, session: this.#session };
    const hanging = new AbortController();
    const patience = setTimeout(() => hanging.abort(), STATEMENT_MS);
    const reply = await this.#pool
      .run(asked, { signal: hanging.signal })
      .finally(() => clearTimeout(patience));
    if ('error' in reply) {
      const error = Object.assign(new Error(reply.error.message), reply.error);
      if (error.isFatal) this.#end(error);
      throw error;
    }
    if (OF_SESSION.test(statement.text) && !this.#session.includes(statement.text))
      this.#session.push(statement.text);
    return reply;
  }

  #end(error: Error): void {
    const at = performance.now();
    // Statements that were under way fail together.
    if (this.#ended?.isResting && at - this.#ended.at < REST_MS) return;
    this.#ended = { at, error, isResting: this.#ended !== null && at - this.#ended.at < 2 * REST_MS };
    this.#onEnd(error);
  }

  async close(): Promise<void> {
    await this.#pool.run(undefined as never, { name: 'close' }).catch(() => {});
    await this.#pool.destroy();
  }
}
