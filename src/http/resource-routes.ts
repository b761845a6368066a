import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import PQueue from 'p-queue';
import { z } from 'zod';
import { EmpError } from '../core/errors.ts';
import type { TenantServices } from '../jobs/tenants.ts';
import { parseCursor } from '../storage/ids.ts';
import type { Kind, Page } from '../storage/store.ts';
import { wholeParameter } from './parameters.ts';
import { describeOperation } from './plugins/operations.ts';
import type { App } from './services.ts';
import { whenGone } from './when-gone.ts';

/** A list is some hundreds of small files and a hundred entries: more at a time would be written out in one turn of the loop. */
const LISTS_AT_ONCE = 2;

/** What a schema describes, as it may be answered with: never to be changed. */
export type View<S extends z.ZodType> = Immutable<z.output<S>>;

type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

/** What its routes have to know of a resource. `Entry` describes it in a list, `Whole` by itself; fields that neither has stay behind. `Query` is what a list is asked for by. */
export interface Resource<
  Entry extends z.ZodType,
  Whole extends z.ZodType,
  Query extends z.ZodType = PageQuerySchema,
> {
  readonly kind: Kind;
  readonly entrySchema: Entry;
  readonly schema: Whole;
  readonly querySchema: Query;
  /** What the documentation says of the routes. */
  readonly texts: {
    readonly list?: { readonly description: string };
    readonly get: { readonly summary: string };
    readonly delete: { readonly summary: string; readonly description?: string };
  };
  list(tenant: TenantServices, query: z.output<Query>): Promise<Page<View<Entry>>>;
  /** What is there of this id, or its JSON where that may be large; null where there is none. */
  get(tenant: TenantServices, id: string): Promise<View<Whole> | Readable | null>;
  /**
   * Deletes it; false where there is none of this id.
   * @throws EmpError `conflict` where it is in use
   */
  remove(tenant: TenantServices, id: string): Promise<boolean>;
}

/** How a list is asked for, page by page. */
export const pageShape = {
  limit: wholeParameter(z.int().min(1).max(100).default(20)).describe(
    'Most entries of a page; large ones make it end earlier.',
  ),
  cursor: z.string().max(200).optional().describe('`next_cursor` of the page before.'),
};

/** What ids of a kind begin with. */
const PREFIXES: Readonly<Record<Kind, string>> = {
  models: 'mdl_',
  datasets: 'dat_',
  jobs: 'job_',
  searches: 'sea_',
};

/** Whether a text is the cursor of a list of a kind, in the order that lists have unless they are sorted. */
export function isCursorOf(kind: Kind, text: string): boolean {
  return parseCursor(text)?.id.startsWith(PREFIXES[kind]) === true;
}

/** How a list of a kind is asked for, where it has neither filters nor orders. */
export function pageQueryOf(kind: Kind) {
  return z.strictObject({
    ...pageShape,
    cursor: pageShape.cursor.refine(
      (text) => text === undefined || isCursorOf(kind, text),
      `must be the next_cursor of a page of ${kind}`,
    ),
  });
}
export type PageQuerySchema = ReturnType<typeof pageQueryOf>;

export const idParamsSchema = z.object({ id: z.string().min(1).max(64) });

/** `GET /v1/<kind>`, `GET /v1/<kind>/:id` and `DELETE /v1/<kind>/:id`. */
export function registerResource<
  Entry extends z.ZodType,
  Whole extends z.ZodType,
  Query extends z.ZodType = PageQuerySchema,
>(app: App, resource: Resource<Entry, Whole, Query>): void {
  const { kind, texts, entrySchema, schema, querySchema }: Resource<z.ZodType, z.ZodType, Query> = resource;
  const tags = [kind];
  const lists = new PQueue({ concurrency: LISTS_AT_ONCE });
  const name = nameOf(kind);

  app.get(
    `/v1/${kind}`,
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: `list${name}${kind === 'searches' ? 'es' : 's'}`,
        summary: `List ${kind}`,
        ...texts.list,
        querystring: querySchema,
        response: {
          200: z.object({
            data: z.array(entrySchema).describe('Newest first, but for a sorted list.'),
            next_cursor: z.string().nullable().describe('`cursor` of the next page; null on the last.'),
          }),
        },
        ...describeOperation({}, 'invalid_request'),
      },
    },
    async ({ query, tenant }, reply) => {
      const signal = whenGone(reply);
      return await lists.add(() => resource.list(tenant, query as z.output<Query>), { signal });
    },
  );

  app.get(
    `/v1/${kind}/:id`,
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: `get${name}`,
        ...texts.get,
        params: idParamsSchema,
        response: { 200: schema },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id }, tenant }, reply) =>
      sendWhole(reply, found(kind, id, await resource.get(tenant, id))),
  );

  app.delete(
    `/v1/${kind}/:id`,
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: `delete${name}`,
        ...texts.delete,
        params: idParamsSchema,
        response: { 204: z.null().describe('Deleted.') },
        ...describeOperation({}, 'not_found', 'conflict'),
      },
    },
    async ({ params: { id }, tenant }, reply) => {
      if (!(await resource.remove(tenant, id))) throw notFound(kind, id);
      return reply.code(204).send(null);
    },
  );
}

/** Answers with a resource. */
export function sendWhole(reply: FastifyReply, whole: unknown): unknown {
  if (whole instanceof Readable) reply.type('application/json; charset=utf-8');
  return whole;
}

/** One of a kind in words. */
export function nounOf(kind: Kind): string {
  return kind === 'searches' ? 'search' : kind.slice(0, -1);
}

/** One of a kind in the id of an operation. */
export function nameOf(kind: Kind): string {
  return nounOf(kind).replace(/^./, (letter) => letter.toUpperCase());
}

/** @throws EmpError `not_found` where it is not there */
export function found<T>(kind: Kind, id: string, resource: T | null): T {
  if (resource !== null) return resource;
  throw notFound(kind, id);
}

function notFound(kind: Kind, id: string): EmpError {
  return new EmpError('not_found', `there is no ${nounOf(kind)} ${id}`);
}
