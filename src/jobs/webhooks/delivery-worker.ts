import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError } from 'bullmq';
import type { Logger } from 'pino';
import type { Backend } from '../backends/backend.ts';
import { closeConnection } from '../close-connection.ts';
import type { Tenants } from '../tenants.ts';
import type { JobWorker } from '../worker.ts';
import { DeliveryShares } from './delivery-shares.ts';

/** They wait for receivers, of which some do not answer. */
const CONCURRENCY = 50;
/** As of jobs: a message whose worker died is found by the second look after its lock has run out. */
const LOCK_MS = 6000;
const STALLED_CHECK_MS = 3000;
/** How soon a server that was away is asked again. */
const RETRY_MS = 1000;
/** A receiver that takes longer when this process ends gets the webhook once more, by another. */
const CLOSE_MS = 2000;

/** Sends webhooks when it is their time. */
export async function startDeliveryWorker(
  tenants: Pick<Tenants, 'ifThere'>,
  backend: Backend,
  log: Logger,
): Promise<JobWorker> {
  const shares = new DeliveryShares();
  const worker = backend.createDeliveryWorker(
    async (message, token) => {
      const { tenant = null, id, occasion } = message.data;
      const next = await tenants.ifThere(tenant, async ({ webhooks }) => {
        const host = await webhooks.receiverOf(id);
        if (host === null) return null;
        const admission = shares.admit(tenant, host);
        return 'free' in admission
          ? await webhooks.deliver(id, occasion).finally(admission.free)
          : Date.now() + admission.pauseMs;
      });
      if (next === null) return;
      await message.moveToDelayed(next, token);
      throw new DelayedError();
    },
    {
      concurrency: CONCURRENCY,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      runRetryDelay: RETRY_MS,
    },
  );
  worker.on('error', (error) => log.warn({ err: error }, 'worker of webhooks'));
  worker.on('failed', (message, error) => log.warn({ err: error, webhook: message?.id }, 'webhook'));
  await worker.waitUntilReady();
  return {
    async close() {
      const closed = new AbortController();
      const patience = sleep(CLOSE_MS, undefined, { signal: closed.signal }).catch(() => {});
      await Promise.race([closeConnection(worker, log), patience]).finally(() => closed.abort());
    },
  };
}
