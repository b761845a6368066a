import { once } from 'node:events';
import { EmpError } from '../core/errors.ts';
import type { JobNews } from '../jobs/follow-job.ts';
import type { TenantServices } from '../jobs/tenants.ts';
import type { Kind } from '../storage/store.ts';
import { ANY_CONTENT } from './content-headers.ts';
import { describeOperation } from './plugins/operations.ts';
import { found, idParamsSchema, nameOf, nounOf } from './resource-routes.ts';
import type { App, Services } from './services.ts';
import { StreamHeartbeats } from './stream-heartbeats.ts';
import { whenGone } from './when-gone.ts';

const HEARTBEAT_MS = 15_000;

/** What is followed. */
export interface Followed<T> {
  readonly kind: Kind;
  readonly description: string;
  /** As `Jobs.follow`. */
  follow(
    tenant: TenantServices,
    id: string,
    lastEventId: number,
    signal: AbortSignal,
  ): AsyncGenerator<JobNews<T>, void>;
  /** As the terminal event shows it. */
  viewOf(ended: T): object;
}

/** `GET /v1/<kind>/:id/events`: events as they happen, and those that a reader missed. */
export function registerEvents<T>(
  app: App,
  { openAnswers, closing }: Services,
  { kind, description, follow, viewOf }: Followed<T>,
): void {
  const heartbeats = new StreamHeartbeats(HEARTBEAT_MS);
  app.get(
    `/v1/${kind}/:id/events`,
    {
      // It would follow the job only to drop what it hears.
      exposeHeadRoute: false,
      // Many open at once: when a job ends, and the readers of all jobs when a service comes back.
      onRequest: () => openAnswers.turns.next(),
      config: { scope: 'read' },
      schema: {
        tags: [kind],
        operationId: `follow${nameOf(kind)}`,
        summary: `Follow a ${nounOf(kind)} (Server-Sent Events)`,
        description: `${description} Each stream that is open counts towards the limits of a client and of all, beyond which a new one is refused.`,
        params: idParamsSchema,
        ...describeOperation(
          {
            parameters: [
              {
                name: 'Last-Event-ID',
                in: 'header',
                schema: { type: 'integer', minimum: 0 },
                description:
                  'The last event seen: the stream begins after it. EventSource sends it on its own.',
              },
            ],
            responses: {
              200: {
                description: 'The stream.',
                content: { 'text/event-stream': { schema: { type: 'string' } } },
              },
              204: { description: 'It has finished and its last event was seen: do not reconnect.' },
            },
          },
          'not_found',
          'invalid_request',
          'not_ready',
        ),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const lastEventId = readLastEventId(request.headers['last-event-id']);
      using place = openAnswers.open(request.ip);
      if (!place) throw new EmpError('not_ready', 'too many event streams are open; try again, or poll it');
      const signal = AbortSignal.any([closing, whenGone(reply)]);
      // Who leaves before the end would still be counted among those who watch the job.
      await using following = follow(request.tenant, id, lastEventId, signal);
      const first = await following.next();
      signal.throwIfAborted();
      const news = found(kind, id, first.value ?? null);
      // EventSource reconnects when a stream ends, until it is told 204.
      if (news.isLast && news.events.length === 0) return reply.code(204).send();

      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // Nothing follows on it, and a closing server need not wait for it.
        connection: 'close',
        'x-accel-buffering': 'no',
        'x-request-id': request.id,
        ...ANY_CONTENT,
      });
      using _heartbeat = heartbeats.start(raw);
      try {
        if (news.events.length === 0) raw.flushHeaders();
        else raw.write(format(news, viewOf));
        for await (const next of following) {
          await openAnswers.turns.next();
          if (!raw.write(format(next, viewOf)) && !signal.aborted) await once(raw, 'drain', { signal });
        }
      } catch (error) {
        if (!signal.aborted) request.log.error({ err: error }, 'event stream failed');
      } finally {
        raw.end();
      }
      return reply;
    },
  );
}

function format<T>({ events }: JobNews<T>, viewOf: Followed<T>['viewOf']): string {
  const texts = events.map(({ id, event, data }) => {
    const shown = event === 'progress' ? data : viewOf(data);
    return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(shown)}\n\n`;
  });
  return texts.join('');
}

function readLastEventId(header: string | string[] | undefined): number {
  if (header === undefined || header === '') return 0;
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header);
  throw new EmpError(
    'invalid_request',
    'Last-Event-ID must be the id of an event of this stream, a whole number',
    [{ path: 'Last-Event-ID', message: 'must be a whole number' }],
  );
}
