import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { createPostgresBackend, runMigrations, type Telemetry } from 'bullmq';
import type { Logger } from 'pino';
import { type Backend, bindConstructors } from './backend.ts';
import { BackendError } from './backend-error.ts';
import type { Notification } from './database-thread.ts';
import { lockDirectory } from './directory-lock.ts';
import { EmbeddedDatabase } from './embedded-database.ts';
import { PING_SQL } from './postgres-ping.ts';

const ADVICE =
  'The embedded queue serves one process: stop that one, or give every process REDIS_URL or DATABASE_URL.';

/** Opens the queue's own PostgreSQL in a thread of this process, stored under `<dataDirectory>/queue`. */
export async function openEmbedded(
  dataDirectory: string,
  log?: Logger,
  telemetry?: Telemetry,
): Promise<Backend> {
  const directory = join(dataDirectory, 'queue');
  const lock = await lockDirectory(directory, ADVICE);
  const database = new EmbeddedDatabase(join(directory, 'pgdata'), {
    async prepare(run) {
      const client = new SessionClient(database, run);
      await runMigrations(client).finally(() => client.release());
    },
    onEnd: (error) => log?.warn({ err: error }, 'the embedded queue begins anew'),
  });
  const pool = new SessionPool(database);
  try {
    await pool.query('SET search_path TO bullmq');
  } catch (error) {
    await database.close();
    lock.release();
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackendError(
      `cannot open the embedded queue in ${directory}: ${reason}. It may be deleted: unfinished jobs are queued again from their records.`,
    );
  }
  return {
    kind: 'embedded',
    ...bindConstructors(createPostgresBackend, { producer: pool, consumer: pool }, telemetry),
    async ping() {
      await pool.query(PING_SQL);
    },
    onReturn: (listener) => database.on('anew', listener),
    async close() {
      await database.close();
      lock.release();
    },
  };
}

/** What a `pg.PoolClient` and a `pg.Pool` have in common, on the one session that PGlite has. */
class Session extends EventEmitter {
  protected readonly database: EmbeddedDatabase;
  readonly #run: EmbeddedDatabase['run'];

  constructor(database: EmbeddedDatabase, run: EmbeddedDatabase['run'] = (one) => database.run(one)) {
    super();
    this.database = database;
    this.#run = run;
    // A queue, a worker and every wait for jobs or events add a listener each.
    this.setMaxListeners(0);
  }

  async query<R>(text: string, parameters?: readonly unknown[]): Promise<{ rows: R[]; rowCount: number }> {
    const { rows, rowCount } = await this.#run({ text, parameters });
    return { rows: rows as R[], rowCount };
  }
}

/**
 * The surface of a `pg.PoolClient`. Only `runMigrations`, alone with the database, opens a transaction over several queries; BullMQ's
 * commands are single statements, which PGlite runs one after the other.
 */
class SessionClient extends Session {
  readonly #tell = (notification: Notification): void => void this.emit('notification', notification);

  constructor(database: EmbeddedDatabase, run?: EmbeddedDatabase['run']) {
    super(database, run);
    database.on('notification', this.#tell);
  }

  release(): void {
    this.database.off('notification', this.#tell);
  }
}

/** The surface of a `pg.Pool`. `options.keepAlive` says what is true of a connection inside the process: it cannot drop unnoticed. */
class SessionPool extends Session {
  readonly options = { keepAlive: true };
  readonly totalCount = 1;

  async connect(): Promise<SessionClient> {
    return new SessionClient(this.database);
  }

  async end(): Promise<void> {}
}
