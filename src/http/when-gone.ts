import type { FastifyReply } from 'fastify';
import { EmpError } from '../core/errors.ts';

/**
 * Aborts when the client goes away before its answer is complete; has aborted where it has gone by now. Fastify's `request.signal` listens
 * from when it is first read on, and never hears of a client that has gone before.
 */
export function whenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (raw.destroyed) gone.abort(reason());
  else raw.once('close', () => gone.abort(reason()));
  return gone.signal;
}

/** What is given up for it fails as a request that nobody waits for, not as a fault of the service. */
function reason(): EmpError {
  return new EmpError('malformed_body', 'the client went away before it was answered');
}
