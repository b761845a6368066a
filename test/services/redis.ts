import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { type Service, startProcess, untilReady } from './service.ts';

/** Starts Debian's `redis-server`, append-only as in production, in a folder of its own. Stop it in `after`. */
export async function startRedis(...options: string[]): Promise<Service> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--appendonly', 'yes'];
  const server = startProcess('redis-server', [...args, '--save', '', ...options], { cwd: directory });
  const url = `redis://127.0.0.1:${port}`;
  await untilReady(server, async () => {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: null });
    client.on('error', () => {});
    try {
      await client.connect();
    } finally {
      client.disconnect();
    }
  });
  return {
    url,
    async stop() {
      await server.stop('SIGTERM');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
