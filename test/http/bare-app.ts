import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Callers } from '../../src/access/caller.ts';
import { createApp } from '../../src/http/app.ts';

/** An app for routes that use nothing of the service. */
export async function createBareApp(given: {
  ring: Callers | null;
  onLine(line: Record<string, unknown>): void;
}) {
  const write = (chunk: Buffer, _: string, done: () => void) => {
    given.onLine(JSON.parse(chunk.toString()));
    done();
  };
  return await createApp({
    ...({ tenants: { of: async () => null } } as never as Parameters<typeof createApp>[0]),
    log: pino({ level: 'info' }, new Writable({ write })),
    keys: given.ring,
    maxUploadBytes: 0,
    maxJsonBytes: 0,
  });
}
