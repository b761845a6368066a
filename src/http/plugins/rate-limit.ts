import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import type { Redis } from 'ioredis';
import type { Quotas } from '../../access/quotas.ts';
import { EmpError } from '../../core/errors.ts';
import type { App } from '../services.ts';

const MINUTE_MS = 60_000;

/**
 * Limits how often each key may ask, by the quota of its tenant, and says so in the headers `RateLimit-*`. After the hook that says whose key it is.
 * @param redis counts for all processes; without one each counts for itself
 */
export async function registerRateLimit(app: App, quotas: Quotas, redis: Redis | null): Promise<void> {
  const limitOf = ({ caller }: FastifyRequest) => quotas.of(caller?.tenant ?? null).requests_per_minute;
  await app.register(rateLimit, {
    // It would count last of all, after what refuses a request for other reasons.
    global: false,
    enableDraftSpec: true,
    timeWindow: MINUTE_MS,
    // Of public routes, of what is no route, and where there is no limit.
    allowList: (request) => request.tenant === null || request.is404 || limitOf(request) === null,
    max: (request) => limitOf(request) ?? 0,
    keyGenerator: ({ caller, ip }) => (caller === null ? ip : `${caller.tenant ?? ''}/${caller.name}`),
    errorResponseBuilder: ({ caller }, { max, ttl }) =>
      new EmpError(
        'rate_limited',
        `${caller === null ? 'you' : `key ${caller.name}`} may ask ${max} times a minute, and has: come again in ${Math.ceil(ttl / 1000)} s`,
      ),
    ...(redis && { redis, nameSpace: 'emp-rate-' }),
    // Whoever may ask is let in where nobody can count.
    skipOnError: true,
  });
  app.addHook('onRequest', app.rateLimit());
}
