import type { Logger } from 'pino';
import { EmpError } from '../../core/errors.ts';
import type { Store } from '../../storage/store.ts';
import type { Tenant } from '../../storage/tenant.ts';
import type { Destinations } from '../../webhooks/destinations.ts';
import { WebhookSecrets } from '../../webhooks/secrets.ts';
import { sendWebhook } from '../../webhooks/send-webhook.ts';
import { signedHeaders } from '../../webhooks/signature.ts';
import type { WebhookTarget } from '../job.ts';
import { isSearchId } from '../search-lines.ts';
import { type Attempt, afterAttempt, askedAgain, type Delivery, type Occasion } from './delivery.ts';
import type { DeliveryQueue } from './delivery-queue.ts';
import { DeliveryRecords, type StatesOf } from './delivery-records.ts';

export interface WebhooksOptions {
  readonly tenant: Tenant;
  readonly store: Store;
  readonly queue: DeliveryQueue;
  readonly destinations: Destinations;
  readonly states: StatesOf;
  readonly log: Logger;
  /** Pauses between attempts. */
  readonly delaysMs?: readonly number[] | undefined;
}

/**
 * Tells the receivers of a tenant's webhooks what they asked to be told. What there is to tell follows from the jobs and searches that the store notes as untold; each webhook is a document of
 * its job or search until it is taken. So none is lost, whoever dies and whatever the queue forgets.
 */
export class Webhooks {
  readonly secrets: WebhookSecrets;
  readonly #tenant: Tenant;
  readonly #store: Store;
  readonly #queue: DeliveryQueue;
  readonly #destinations: Destinations;
  readonly #records: DeliveryRecords;
  readonly #log: Logger;
  readonly #delaysMs: readonly number[] | undefined;

  constructor({ tenant, store, queue, destinations, states, log, delaysMs }: WebhooksOptions) {
    this.secrets = new WebhookSecrets(store);
    this.#tenant = tenant;
    this.#store = store;
    this.#queue = queue;
    this.#destinations = destinations;
    this.#records = new DeliveryRecords(store, states);
    this.#log = log;
    this.#delaysMs = delaysMs;
  }

  /** @throws EmpError invalid_request for one that could not be sent */
  async check({ url }: WebhookTarget): Promise<void> {
    const refusal = this.#destinations.refusalOf(url);
    if (refusal)
      throw new EmpError('invalid_request', 'the webhook cannot be sent', [
        { path: '/webhook/url', message: refusal },
      ]);
    if ((await this.secrets.list()).length > 0) return;
    const message = 'needs a secret to be signed by: POST /v1/webhook-secrets makes one';
    throw new EmpError('invalid_request', 'the webhook cannot be signed', [{ path: '/webhook', message }]);
  }

  /** To be called when there may be something to tell of a job or search; what is missed is found by `queueLost`. */
  announce(id: string): void {
    this.#queueDue(id).catch((error) => this.#log.warn({ err: error, id }, 'webhooks are told of later'));
  }

  /** All of a job or search; null where there is none. */
  async list(id: string): Promise<Delivery[] | null> {
    const subject = await this.#records.subject(id);
    return subject && this.#records.list(subject);
  }

  /** Sends one again, or at once where it waits for its time. Null where there is none. */
  async redeliver(id: string, deliveryId: string): Promise<Delivery | null> {
    const known = (await this.list(id))?.find((one) => one.id === deliveryId);
    if (!known) return null;
    const asked = askedAgain(known);
    // What waits, a worker may be writing.
    if (known.status !== 'waiting') {
      await this.#records.write(id, asked);
      await this.#store.addUntold(id);
    }
    const inQueue = this.#queue.add(this.#tenant, id, [asked]).then(() => this.#queue.hurry(deliveryId));
    await inQueue.catch((error) => this.#log.warn({ err: error, id }, 'webhooks are told of later'));
    return asked;
  }

  /** Queues what the queue has lost, or was never told. Costs the names of the untold, and a look at those that have ended. @throws EmpError not_ready */
  async queueLost(): Promise<void> {
    const ids = await this.#store.listUntold();
    if (ids.length === 0) return;
    const unfinished = new Set(await this.#store.listUnfinished());
    const known = await this.#queue.knownIds();
    for (const id of ids) {
      if (unfinished.has(id) && !isSearchId(id)) continue;
      await this.#queueDue(id, known).catch((error) => {
        if (error instanceof EmpError) throw error;
        // What is wrong with one, or was deleted meanwhile, keeps no other waiting.
        this.#log.warn({ err: error, id }, 'webhooks are told of later');
      });
    }
  }

  /** The host that is told of a job or search; null where there is none. */
  async receiverOf(id: string): Promise<string | null> {
    const subject = await this.#records.subject(id);
    return subject && new URL(subject.webhook.url).host;
  }

  /**
   * Sends a webhook, unless it was taken. Of a redelivery the document says that it waits.
   * @returns when it is to be tried again; null where it is not
   */
  async deliver(id: string, occasion: Occasion): Promise<number | null> {
    const subject = await this.#records.subject(id);
    const delivery = subject && (await this.#records.read(subject, occasion));
    if (!subject || delivery?.status !== 'waiting') return null;
    const body = JSON.stringify(await this.#records.bodyOf(subject, delivery));
    const attempt = await this.#attempt(subject.webhook, delivery.id, body);
    const after = afterAttempt(delivery, attempt, this.#delaysMs);
    const { status, tries, next_attempt_at } = after;
    const isFailed = attempt.error !== null;
    this.#log[isFailed ? 'warn' : 'info']({ id, webhook: after.id, status, tries }, 'webhook');
    try {
      await this.#records.write(id, after);
    } catch (error) {
      if (await this.#records.subject(id)) throw error;
      return null; // deleted meanwhile
    }
    if (next_attempt_at !== null) return Date.parse(next_attempt_at);
    await this.#records.settle(subject);
    return null;
  }

  async #attempt({ url }: WebhookTarget, id: string, body: string): Promise<Attempt> {
    const at = new Date();
    const secrets = (await this.secrets.list()).map(({ secret }) => secret);
    const begun = performance.now();
    const sent =
      secrets.length === 0
        ? { status: null, error: 'there is no secret to sign it by: POST /v1/webhook-secrets makes one' }
        : await sendWebhook({ url, headers: signedHeaders(secrets, id, at, body), body }, this.#destinations);
    return { at: at.toISOString(), ...sent, ms: Math.round(performance.now() - begun) };
  }

  async #queueDue(id: string, known: ReadonlySet<string> = new Set()): Promise<void> {
    const subject = await this.#records.subject(id);
    if (!subject) return;
    const waiting = await this.#records.due(subject);
    const missing = waiting.filter((delivery) => !known.has(delivery.id));
    await this.#queue.add(this.#tenant, id, missing);
  }
}
