import { connectBackend } from '../../src/jobs/backends/connect.ts';
import type { JobLimits } from '../../src/jobs/job-limits.ts';
import { openTenants, type WebhookSettings } from '../../src/jobs/tenants.ts';
import { startDeliveryWorker } from '../../src/jobs/webhooks/delivery-worker.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { type RedisService, startRedis } from '../services/redis.ts';
import { fileOf, openTestApp, type TestApp, type TestAppOptions } from './test-app.ts';

export interface TestService extends TestApp {
  /** Where its queue lives. */
  readonly redis: RedisService;
  /** `http://127.0.0.1:PORT`, served on a real socket. */
  readonly url: string;
}

/** The service as `main.ts` wires it, on a Redis and a data directory of its own; without a worker, jobs stay queued. */
export async function openTestService({
  worker = false,
  limits = { timeMs: 120_000, memoryMebibytes: 4096 },
  webhooks,
  ...options
}: TestAppOptions & {
  worker?: boolean;
  limits?: JobLimits;
  webhooks?: WebhookSettings;
} = {}): Promise<TestService> {
  const redis = await startRedis();
  const service = await openTestApp(options, async ({ dataDirectory, stores, log }) => {
    const backend = await connectBackend({ redisUrl: redis.url, dataDirectory, log });
    const tenants = await openTenants({ stores, backend, log, webhooks });
    const working = worker
      ? await startWorkers({
          ...{ stores, backend, concurrency: 1, limits, log, graceMs: 100 },
          onEnded: (id, tenant) => tenants.announce(id, tenant),
        })
      : null;
    const sending = webhooks ? await startDeliveryWorker(tenants, backend, log) : null;
    return {
      tenants,
      async close() {
        await working?.close();
        await sending?.close();
        await tenants.close();
        await backend.close();
        await redis.stop();
      },
    };
  });
  return { ...service, redis, url: await service.listen() };
}

export type FilePart = [part: string, name: string, content: Uint8Array];

/** Posts a job and waits for its end. */
export function postFiles(url: string, parts: readonly FilePart[], recipe: object): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  form.append('recipe', JSON.stringify(recipe));
  return fetch(`${url}/v1/jobs`, { method: 'POST', body: form, headers: { prefer: 'wait=60' } });
}
