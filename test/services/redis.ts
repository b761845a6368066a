import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { type RestartableService, startProcess, startRestartable } from './service.ts';

export interface RedisService extends RestartableService {
  readonly port: number;
  /** Stops it where it stands, until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** Starts Debian's `redis-server`, append-only as in production, in a folder of its own. Stop it in `after`. */
export async function startRedis(...options: string[]): Promise<RedisService> {
  return startRedisAt(await freePort(), ...options);
}

/** One at the port of another, which is gone, and without its memory. */
export async function startRedisAt(port: number, ...options: string[]): Promise<RedisService> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--appendonly', 'yes'];
  const start = () => startProcess('redis-server', [...args, '--save', '', ...options], { cwd: directory });
  const url = `redis://127.0.0.1:${port}`;
  const ask = async () => {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: null });
    client.on('error', () => {});
    try {
      await client.connect();
    } finally {
      client.disconnect();
    }
  };
  const service = await startRestartable(url, directory, start, ask, 'SIGTERM');
  return {
    ...service,
    port,
    freeze: () => service.signal('SIGSTOP'),
    thaw: () => service.signal('SIGCONT'),
  };
}
