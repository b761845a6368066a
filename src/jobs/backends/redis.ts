import { createRedisBackend, type Telemetry } from 'bullmq';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { type Backend, bindConstructors } from './backend.ts';
import { BackendError } from './backend-error.ts';

const CONNECT_TIMEOUT_MS = 5000;
const MAX_RECONNECT_MS = 1000;
/** What a ping writes is gone after this. */
const PING_SECONDS = 60;

/** BullMQ's own goes up to 20 seconds: that long a request would hang, and a worker stay away from a server that is back. */
const retryStrategy = (attempt: number) => Math.min(100 * attempt, MAX_RECONNECT_MS);

/** Connects to a Redis server. @param url `redis://` or `rediss://`, credentials and database number in it */
export async function connectRedis(url: string, log?: Logger, telemetry?: Telemetry): Promise<Backend> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy,
    maxRetriesPerRequest: 1,
  });
  let lastError: Error | undefined;
  client.on('error', (error) => {
    lastError = error;
  });
  let info: string;
  try {
    await client.connect();
    info = await client.info('memory');
  } catch (error) {
    client.disconnect();
    throw new BackendError(
      `cannot reach Redis at ${withoutCredentials(url)} (REDIS_URL): ${describe(lastError ?? error)}`,
    );
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    log?.warn(
      { policy },
      'Redis may evict queued jobs: set maxmemory-policy to noeviction (lost ones are queued again at the next start)',
    );
  }
  return {
    kind: 'redis',
    ...bindConstructors(
      createRedisBackend,
      {
        // A request must be told within a second or two that Redis is away; a worker waits for it to come back.
        producer: { url, retryStrategy, maxRetriesPerRequest: 1 },
        consumer: { url, retryStrategy, maxRetriesPerRequest: null },
      },
      telemetry,
    ),
    async ping() {
      await client.set('emp-ping', '', 'EX', PING_SECONDS);
    },
    onReturn: (listener) => client.on('ready', listener),
    async close() {
      client.disconnect();
    },
  };
}

function withoutCredentials(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return error instanceof Error ? error.message : String(error);
}
