import { pino } from 'pino';
import { type AppOptions, createApp } from './app.ts';

/** The OpenAPI document of the routes, as YAML. */
export async function renderOpenapi(): Promise<string> {
  // Routes are described, never run: what they work with need not be there.
  const nothing = {} as Pick<AppOptions, 'tenants' | 'reader' | 'analyses' | 'openAnswers'>;
  const app = await createApp({
    ...nothing,
    log: pino({ level: 'silent' }),
    maxUploadBytes: 0,
    maxJsonBytes: 0,
  });
  try {
    await app.ready();
    return app.swagger({ yaml: true });
  } finally {
    await app.close();
  }
}
