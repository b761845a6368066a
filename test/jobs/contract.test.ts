import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import type { BackendSettings } from '../../src/jobs/backends/connect.ts';
import { startPostgres } from '../services/postgres.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { contract, type Place } from './contract.ts';

/** What a backend is connected by, once its server runs. */
const backends: Record<
  string,
  { start?: () => Promise<Service>; settings(url: string): Partial<BackendSettings> }
> = {
  redis: { start: () => startRedis(), settings: (redisUrl) => ({ redisUrl }) },
  postgres: { start: () => startPostgres(), settings: (databaseUrl) => ({ databaseUrl }) },
  embedded: { settings: () => ({}) },
};

for (const [kind, { start, settings }] of Object.entries(backends)) {
  describe(`jobs on ${kind}`, () => {
    let service: Service | undefined;
    let directory = '';
    const place: Place = { settings: { dataDirectory: '' }, directory: '' };
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), `emp-jobs-${kind}-`));
      service = await start?.();
      place.directory = directory;
      place.settings = { dataDirectory: join(directory, 'data'), ...settings(service?.url ?? '') };
    });
    // Before the server's `after`: hooks run in the order of their registration.
    contract(kind, place);
    after(async () => {
      await service?.stop();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    });
  });
}
