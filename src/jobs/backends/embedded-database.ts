import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Notification, Statement, StatementReply } from './database-thread.ts';

/** Statements that are on their way to the thread or wait there; it takes them in their order. */
const UNDER_WAY = 64;

/** PGlite in a thread of its own: a statement takes it milliseconds, in which this thread answers requests. Emits `notification`. */
export class EmbeddedDatabase extends EventEmitter<{ notification: [Notification] }> {
  readonly #pool: Piscina<Statement, StatementReply>;

  /** @param folder where it is stored; made where it is missing */
  constructor(folder: string) {
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
    // Those who asked are told.
    this.#pool.on('error', () => {});
  }

  /** @throws Error with PostgreSQL's `code` where the statement fails */
  async run(statement: Statement): Promise<{ rows: unknown[]; rowCount: number }> {
    const reply = await this.#pool.run(statement);
    if ('error' in reply) throw Object.assign(new Error(reply.error.message), reply.error);
    return { rows: [...reply.rows], rowCount: reply.rowCount };
  }

  async close(): Promise<void> {
    await this.#pool.run(undefined as never, { name: 'close' }).catch(() => {});
    await this.#pool.destroy();
  }
}
