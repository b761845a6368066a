import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Notification, OtherThread, Rows, Statement, StatementReply } from './database-thread.ts';

/** Statements that are on their way to the thread or wait there; it takes them in their order. */
const UNDER_WAY = 64;

/** One that takes longer hangs: PostgreSQL of a few thousand rows, on a busy machine and after a crash, needs some seconds. */
const STATEMENT_MS = 60_000;
/** What fails again so soon rests as long: opening a database takes a processor half a second. */
const REST_MS = 1000;
/** What of a session is lost with its thread. */
const OF_SESSION = /^\s*(SET|LISTEN)\b/i;

export type PlainStatement = Omit<Statement, 'session' | 'thread'>;

export interface DatabaseOptions {
  /** Makes of a database what statements expect, alone with it, whenever a thread has opened it: the folder may be a new one. */
  prepare?(run: (statement: PlainStatement) => Promise<Rows>): Promise<unknown>;
  /** Hears why a thread has ended. */
  onEnd?(error: unknown): void;
}

/** PGlite in a thread of its own: a statement takes it milliseconds, in which this thread answers requests. A thread that ends or hangs is replaced by one that opens the same folder, in a session of the same settings, but not more than once a second. Emits `notification`, and `anew` once another thread is prepared. */
export class EmbeddedDatabase extends EventEmitter<{ notification: [Notification]; anew: [] }> {
  readonly #pool: Piscina<Statement, StatementReply>;
  readonly #session: string[] = [];
  readonly #options: DatabaseOptions;
  /** The thread that is prepared. */
  #thread: number | null = null;
  #preparing: Promise<void> | null = null;
  /** When the last thread ended, and why. */
  #ended: { readonly at: number; readonly error: Error; readonly isResting: boolean } | null = null;

  /** @param folder where it is stored; made where it is missing */
  constructor(folder: string, options: DatabaseOptions = {}) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
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
    this.#pool.on('error', (error) => options.onEnd?.(error));
  }

  /** @throws Error with PostgreSQL's `code` where the statement fails, others where the thread ends */
  async run(statement: PlainStatement): Promise<Rows> {
    for (;;) {
      const reply = await this.#ask({ ...statement, session: this.#session, thread: this.#thread });
      if (!('thread' in reply)) {
        if (OF_SESSION.test(statement.text) && !this.#session.includes(statement.text))
          this.#session.push(statement.text);
        return reply;
      }
      if (reply.thread === this.#thread) continue;
      this.#preparing ??= this.#prepare(reply.thread).finally(() => {
        this.#preparing = null;
      });
      await this.#preparing;
    }
  }

  /** Meanwhile the thread refuses all other statements. */
  async #prepare(thread: number): Promise<void> {
    await this.#options.prepare?.(async (statement) => {
      const reply = await this.#ask({ ...statement, session: [], thread });
      if ('thread' in reply) throw new Error('the database ended while it was prepared');
      return reply;
    });
    const isFirst = this.#thread === null;
    this.#thread = thread;
    if (!isFirst) this.emit('anew');
  }

  async #ask(statement: Statement): Promise<Rows | OtherThread> {
    if (this.#ended?.isResting && performance.now() - this.#ended.at < REST_MS) throw this.#ended.error;
    const hanging = new AbortController();
    const patience = setTimeout(() => hanging.abort(), STATEMENT_MS);
    const reply = await this.#pool
      .run(statement, { signal: hanging.signal })
      .finally(() => clearTimeout(patience));
    if (!('error' in reply)) return reply;
    const error = Object.assign(new Error(reply.error.message), reply.error);
    if (error.isFatal) this.#end(error);
    throw error;
  }

  #end(error: Error): void {
    const at = performance.now();
    // Statements that were under way fail together.
    if (this.#ended?.isResting && at - this.#ended.at < REST_MS) return;
    this.#ended = { at, error, isResting: this.#ended !== null && at - this.#ended.at < 2 * REST_MS };
    this.#options.onEnd?.(error);
  }

  async close(): Promise<void> {
    await this.#pool.run(undefined as never, { name: 'close' }).catch(() => {});
    await this.#pool.destroy();
  }
}
