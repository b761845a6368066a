import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPostgresBackend, runMigrations } from 'bullmq';
import { type Backend, BackendError, bindConstructors } from './backend.ts';
import { lockDirectory } from './directory-lock.ts';
import { PING_SQL } from './postgres-ping.ts';

const ADVICE =
  'The embedded queue serves one process: stop that one, or give every process REDIS_URL or DATABASE_URL.';

/** Opens the queue's own PostgreSQL inside this process, stored under `<dataDirectory>/queue`. */
export async function openEmbedded(dataDirectory: string): Promise<Backend> {
  const directory = join(dataDirectory, 'queue');
  const lock = await lockDirectory(directory, ADVICE);
  let database: PGlite;
  try {
    database = await PGlite.create(join(directory, 'pgdata'));
    await runMigrations(new SessionClient(database));
    await database.exec('SET search_path TO bullmq');
  } catch (error) {
    lock.release();
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackendError(
      `cannot open the embedded queue in ${directory}: ${reason}. It may be deleted: unfinished jobs are queued again from their records.`,
    );
  }
  const pool = new SessionPool(database);
  return {
    kind: 'embedded',
    ...bindConstructors(createPostgresBackend, { producer: pool, consumer: pool }),
    async ping() {
      await database.query(PING_SQL);
    },
    async close() {
      await database.close();
      lock.release();
    },
  };
}

/** What a `pg.PoolClient` and a `pg.Pool` have in common, on the one session that PGlite has. */
class Session extends EventEmitter {
  protected readonly database: PGlite;

  constructor(database: PGlite) {
    super();
    this.database = database;
    // A queue, a worker and every wait for jobs or events add a listener each.
    this.setMaxListeners(0);
  }

  async query<R>(text: string, parameters?: readonly unknown[]): Promise<{ rows: R[]; rowCount: number }> {
    // Migrations are scripts of many statements, which only the simple protocol takes.
    const result =
      parameters === undefined
        ? (await this.database.exec(text)).at(-1)
        : await this.database.query<R>(text, [...parameters]);
    return { rows: (result?.rows ?? []) as R[], rowCount: result?.affectedRows ?? 0 };
  }
}

/**
 * The surface of a `pg.PoolClient`. Only `runMigrations`, alone with the database, opens a transaction over several queries; BullMQ's
 * commands are single statements, which PGlite runs one after the other.
 */
class SessionClient extends Session {
  readonly #unsubscribe: () => void;

  constructor(database: PGlite) {
    super(database);
    this.#unsubscribe = database.onNotification((channel, payload) =>
      this.emit('notification', { channel, payload }),
    );
  }

  release(): void {
    this.#unsubscribe();
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
