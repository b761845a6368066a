import { EventEmitter } from 'node:events';
import { createPostgresBackend, type PgPool, runMigrations, type Telemetry } from 'bullmq';
import { Pool } from 'pg';
import type { Logger } from 'pino';
import { isCode } from '../../storage/durable-files.ts';
import { type Backend, bindConstructors } from './backend.ts';
import { BackendError } from './backend-error.ts';
import { PING_SQL } from './postgres-ping.ts';

/** The schema of BullMQ's tables; migrations put it there. */
const SCHEMA = 'bullmq';
/** PostgreSQL's code for a table that is not there, or whose schema is not. */
const NO_TABLE = '42P01';
const CONNECT_TIMEOUT_MS = 5000;
/** Three are held for good for each of two lanes: the worker's LISTEN, and those of what API and worker hear of jobs; and one by who sends webhooks. */
const MAX_CONNECTIONS = 14;

/** Connects to a PostgreSQL server (13 or newer) and brings the queue's tables up to date. @param url `postgres://...` */
export async function connectPostgres(url: string, log?: Logger, telemetry?: Telemetry): Promise<Backend> {
  const pool = new Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    options: `-c search_path=${SCHEMA}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A queue, a worker and what hears news add a listener each.
  pool.setMaxListeners(0);
  pool.on('error', (error) => log?.warn({ err: error }, 'an idle database connection was lost'));
  const migrate = async () => {
    const client = await pool.connect();
    await runMigrations(client, SCHEMA).finally(() => client.release());
  };
  try {
    await migrate();
  } catch (error) {
    await pool.end();
    const { host, pathname } = new URL(url);
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackendError(`cannot use PostgreSQL at ${host}${pathname} (DATABASE_URL): ${reason}`);
  }
  // pg's overloads of `query` are more than BullMQ's type of a pool asks for, in an order TypeScript does not match.
  const connection = pool as unknown as PgPool;
  const returned = new EventEmitter<{ anew: [] }>();
  return {
    kind: 'postgres',
    ...bindConstructors(createPostgresBackend, { producer: connection, consumer: connection }, telemetry),
    async ping() {
      try {
        await pool.query(PING_SQL);
      } catch (error) {
        if (!isCode(error, NO_TABLE)) throw error;
        // Another database stands under the address, an empty one, or somebody has dropped the schema.
        log?.warn({ err: error }, 'the tables of the queue are made anew');
        await migrate();
        returned.emit('anew');
      }
    },
    onReturn: (listener) => returned.on('anew', listener),
    close: () => pool.end(),
  };
}
