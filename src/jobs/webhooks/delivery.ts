import { contentId } from '../../storage/ids.ts';
import type { StoredRecord } from '../../storage/store.ts';
import type { Sent } from '../../webhooks/send-webhook.ts';
import type { TenantMessage } from '../tasks/task.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** Pauses between attempts: an hour's outage is over soon, a night's too, and after 27 hours it is given up. */
export const DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  10 * HOUR_MS,
];
/** Of a pause, so that what failed together does not come back together. */
const JITTER = 0.2;
/** Older ones are forgotten: anybody may ask for more. */
const KEPT_ATTEMPTS = 100;

/** What is told: the end of a job or search, or that a candidate waits for the client's own metric. */
export type Occasion = 'end' | `candidate-${number}`;

export interface Attempt extends Sent {
  readonly at: string;
  readonly ms: number;
}

/** One webhook, until it is taken: a document of the job or search, made when there is something to tell. */
export interface Delivery {
  /** The same at each attempt. */
  readonly id: string;
  readonly occasion: Occasion;
  readonly created_at: string;
  readonly status: 'waiting' | 'delivered' | 'given_up';
  /** Attempts since it was last asked for. */
  readonly tries: number;
  readonly next_attempt_at: string | null;
  readonly delivered_at: string | null;
  readonly attempts: readonly Attempt[];
}

/** What the queue holds of a delivery: everything else is in the store. */
export interface DeliveryMessage extends TenantMessage {
  /** The job or search. */
  readonly id: string;
  readonly occasion: Occasion;
}

/** A job that was deleted may come again under its id, and has other things to tell. */
export function newDelivery({ id, created_at }: StoredRecord, occasion: Occasion): Delivery {
  const now = new Date().toISOString();
  return {
    id: contentId('msg', `${id}\n${created_at}\n${occasion}`),
    occasion,
    created_at: now,
    status: 'waiting',
    tries: 0,
    next_attempt_at: now,
    delivered_at: null,
    attempts: [],
  };
}

/** As it stands after an attempt. */
export function afterAttempt(
  delivery: Delivery,
  attempt: Attempt,
  delaysMs: readonly number[] = DELAYS_MS,
): Delivery {
  const tries = delivery.tries + 1;
  const attempts = [...delivery.attempts, attempt].slice(-KEPT_ATTEMPTS);
  const ended = Date.parse(attempt.at) + attempt.ms;
  if (attempt.error === null)
    return {
      ...{ ...delivery, tries, attempts, status: 'delivered' },
      ...{ next_attempt_at: null, delivered_at: new Date(ended).toISOString() },
    };
  if (tries > delaysMs.length)
    return { ...delivery, tries, attempts, status: 'given_up', next_attempt_at: null };
  const delay = delaysMs[tries - 1] * (1 + JITTER * (2 * Math.random() - 1));
  return { ...delivery, tries, attempts, next_attempt_at: new Date(ended + delay).toISOString() };
}

/** As it stands when somebody has asked for it again: it has all attempts before it. */
export function askedAgain(delivery: Delivery): Delivery {
  return { ...delivery, status: 'waiting', tries: 0, next_attempt_at: new Date().toISOString() };
}
