import { z } from 'zod';
import { time } from './schemas.ts';

/** Of a job, a comparison or a search. */
export const webhookSchema = z
  .strictObject({
    url: z
      .string()
      .max(2000)
      .describe('https, without name and password; public unless the operator has listed its host.'),
  })
  .optional()
  .describe(
    'Who is told of the end, and of a search also of candidates that wait for a metric of yours: by signed requests, again and again for a day until one is taken. [docs/guide/webhooks.md](docs/guide/webhooks.md).',
  );

const secretFields = {
  id: z.string(),
  created_at: time,
};

export const secretSchema = z.object({
  ...secretFields,
  secret: z.string().describe('`whsec_...`: keep it, it is not told again.'),
});

export const secretsSchema = z.object({
  data: z.array(z.object(secretFields)).describe('Oldest first; what they are is not told again.'),
});

export const deliverySchema = z
  .object({
    id: z.string().describe('`webhook-id` of all its attempts.'),
    event: z
      .enum(['end', 'candidate.waiting'])
      .describe('What is told: how it ended, or that a candidate waits for a metric of yours.'),
    candidate: z.int().nullable().describe('Of a search, the one that waits.'),
    status: z
      .enum(['waiting', 'delivered', 'given_up'])
      .describe('`waiting` until a receiver answers by 2xx, or the last attempt has failed.'),
    created_at: time,
    next_attempt_at: time.nullable(),
    delivered_at: time.nullable(),
    attempts: z
      .array(
        z.object({
          at: time,
          status: z.int().nullable().describe('What the receiver answered; null where it did not.'),
          error: z.string().nullable().describe('Null where it was taken.'),
          ms: z.int(),
        }),
      )
      .describe('The first comes first; of many the last hundred.'),
  })
  .meta({ id: 'WebhookDelivery' });

export const deliveriesSchema = z.object({ data: z.array(deliverySchema) });
