import type { FastifyReply } from 'fastify';

/**
 * Aborts when the client goes away before its answer is complete; has aborted where it has gone by now. Fastify's `request.signal` listens
 * from when it is first read on, and never hears of a client that has gone before.
 */
export function whenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (raw.destroyed) gone.abort();
  else raw.once('close', () => gone.abort());
  return gone.signal;
}
