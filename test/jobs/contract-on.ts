import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import type { BackendSettings } from '../../src/jobs/backends/connect.ts';
import type { Service } from '../services/service.ts';
import { contract, type Place } from './contract.ts';

/** What a backend is connected by, once its server runs. */
interface Connected {
  readonly start?: () => Promise<Service>;
  settings(url: string): Partial<BackendSettings>;
}

/** The contract on a backend of a kind. A file each has one, as half of their time is waiting. */
export function contractOn(kind: string, { start, settings }: Connected): void {
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
