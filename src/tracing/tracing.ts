import type { Telemetry } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import type { AttemptWatcher } from '../jobs/watch-attempts.ts';

/** Traces of requests, of their jobs' way through the queue, and of what is computed. Only types stand here: what makes traces is loaded where they are asked for. */
export interface Tracing {
  /** For BullMQ: a message carries the context of the request that sent it. */
  readonly telemetry: Telemetry;
  /** A span for each attempt, and one for each of its stages. */
  readonly attempts: AttemptWatcher;
  /** A span for each request. To be called before there are routes. */
  traceRequests(app: Pick<FastifyInstance, 'register'>): void;
  /** What a log line says of the span that it is written in. */
  logFields(): { readonly trace_id?: string };
  /** Sends what has not been sent, where somebody takes it. */
  close(): Promise<void>;
}
