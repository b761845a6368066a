import type { Logger } from 'pino';
import type { Tenant } from '../../storage/tenant.ts';
import { answerInTime } from '../answer-in-time.ts';
import type { Backend } from '../backends/backend.ts';
import { closeConnection } from '../close-connection.ts';
import type { Delivery, DeliveryMessage } from './delivery.ts';

/** Of every message that the queue knows; one that failed is gone. */
const KNOWN = ['waiting', 'active', 'delayed'] as const;

/** Where deliveries wait for their time. It may forget everything at any time: the store knows what is to be told. */
export interface DeliveryQueue {
  /** Puts deliveries of a job or search into the queue, but for those that are there. @throws EmpError not_ready */
  add(tenant: Tenant, id: string, deliveries: readonly Delivery[]): Promise<void>;
  /** Ends the pause of a delivery. @throws EmpError not_ready */
  hurry(deliveryId: string): Promise<void>;
  /** @throws EmpError not_ready */
  knownIds(): Promise<Set<string>>;
  close(): Promise<void>;
}

/** Where nobody sends webhooks. */
export const NO_DELIVERIES: DeliveryQueue = {
  add: async () => {},
  hurry: async () => {},
  knownIds: async () => new Set(),
  close: async () => {},
};

export async function openDeliveryQueue(backend: Backend, log: Logger): Promise<DeliveryQueue> {
  const queue = backend.createDeliveryQueue();
  queue.on('error', (error) => log.warn({ err: error }, 'queue of webhooks'));
  await queue.waitUntilReady();
  const ask = <T>(answer: Promise<T>) => answerInTime(answer, log);
  return {
    async add(tenant, id, deliveries) {
      const messages = deliveries.map((delivery) => {
        const { id: jobId, occasion, next_attempt_at } = delivery;
        const data: DeliveryMessage = { id, occasion, ...(tenant !== null && { tenant }) };
        const delay = Math.max(0, Date.parse(next_attempt_at ?? '') - Date.now() || 0);
        // What fails, though sending it never does, is put here again by whoever looks after what was lost.
        return { name: 'webhook', data, opts: { jobId, delay, removeOnComplete: true, removeOnFail: true } };
      });
      if (messages.length > 0) await ask(queue.addBulk(messages));
    },
    async hurry(deliveryId) {
      const message = await ask(queue.getJob(deliveryId));
      // It may have gone on by itself.
      await ask(
        message?.promote().catch((error) => log.debug({ err: error }, 'webhook')) ?? Promise.resolve(),
      );
    },
    knownIds: async () => new Set(await ask(queue.getRanges([...KNOWN], 0, -1))),
    close: () => closeConnection(queue, log),
  };
}
