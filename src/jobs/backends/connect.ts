import type { Telemetry } from 'bullmq';
import type { Logger } from 'pino';
import type { Backend } from './backend.ts';

export interface BackendSettings {
  readonly redisUrl?: string | undefined;
  readonly databaseUrl?: string | undefined;
  /** The embedded queue's home, where neither URL is given. */
  readonly dataDirectory: string;
  readonly log?: Logger;
  /** What traces the queue. */
  readonly telemetry?: Telemetry | undefined;
}

/**
 * Connects to Redis, to PostgreSQL, or opens the embedded database, and proves that it answers. Only the one asked for is loaded:
 * the embedded one costs hundreds of megabytes.
 */
export async function connectBackend(settings: BackendSettings): Promise<Backend> {
  const { redisUrl, databaseUrl, dataDirectory, log, telemetry } = settings;
  if (redisUrl && databaseUrl) throw new Error('set REDIS_URL or DATABASE_URL, not both: there is one queue');
  if (redisUrl) return (await import('./redis.ts')).connectRedis(redisUrl, log, telemetry);
  if (databaseUrl) return (await import('./postgres.ts')).connectPostgres(databaseUrl, log, telemetry);
  return (await import('./embedded.ts')).openEmbedded(dataDirectory, log, telemetry);
}
