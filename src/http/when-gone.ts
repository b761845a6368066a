import type { FastifyReply } from 'fastify';

/** Aborts when the client goes away before its answer is complete; has aborted where it has gone by now. */
export function whenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (raw.destroyed) gone.abort();
  else raw.once('close', () => gone.abort());
  return gone.signal;
}
