import { EmpError } from '../../core/errors.ts';
import { storedInputs } from '../../intake/job-inputs.ts';
import type { Asker } from '../../intake/slots.ts';
import type { SearchRequest } from '../../jobs/search-lines.ts';
import { linesOf } from '../../recipe/lines.ts';
import { renderSearchMarkdown } from '../../report/search-markdown.ts';
import type { SearchFacts } from '../../report/search-report.ts';
import type { ModelRecord } from '../../storage/records.ts';
import type { Store } from '../../storage/store.ts';
import { preferredMediaType } from '../accept.ts';
import { registerArtifacts } from '../artifact-routes.ts';
import { REPORT_PAGE_CONTENT } from '../content-headers.ts';
import { registerEvents } from '../event-streams.ts';
import { describeOperation, inputSchema } from '../plugins/operations.ts';
import { namingFields } from '../problem.ts';
import { found, idParamsSchema, pageQueryOf, registerResource } from '../resource-routes.ts';
import { factsOfSearch } from '../search-facts.ts';
import { searchEntrySchema, searchRequestSchema, searchSchema } from '../search-schemas.ts';
import { entryOfSearch, viewOfSearch } from '../search-view.ts';
import type { App, Services } from '../services.ts';
import { parseBody } from '../validation.ts';
import { whenGone } from '../when-gone.ts';
import { registerCandidates } from './search-candidates.ts';

/** A model whose structures are not known by then is searched without knowing which it lacks. */
const ANALYSIS_MS = 5000;

/** Searches: a model, data and a promise; the recipe is found. */
export function registerSearches(app: App, services: Services): void {
  const { reader, analyses } = services;

  app.post(
    '/v1/searches',
    {
      config: { scope: 'write' },
      schema: {
        tags: ['searches'],
        operationId: 'createSearch',
        summary: 'Find the smallest or fastest model within a promise',
        description:
          'Recipes are tried at the amounts that could be better than what is known, each in a job of its own; the best is written by a last one. What could only fail is refused here.',
        response: { 202: searchSchema },
        ...describeOperation(
          {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: inputSchema(searchRequestSchema) } },
            },
            responses: {
              202: {
                description: 'The search was accepted; it survives a restart from here on.',
                headers: { Location: { schema: { type: 'string' }, description: 'The path of the search.' } },
              },
            },
          },
          'malformed_body',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          'unsupported_model',
          'no_prunable_tensors',
          'samples_mismatch',
          'invalid_labels',
          'limit_exceeded',
          'insufficient_storage',
          'not_ready',
          'queue_full',
          'quota_exceeded',
        ),
      },
    },
    async (request, reply) => {
      const { tenant, ip } = request;
      const asker = { client: ip, tenant: tenant.tenant, signal: whenGone(reply) };
      const prepared = await prepare(request.body, tenant.store, asker);
      if (prepared.webhook) await tenant.webhooks.check(prepared.webhook);
      const search = await tenant.searches.submit({ ...prepared, request_id: request.id });
      request.log.info({ search: search.record.id }, 'search submitted');
      reply.header('location', `/v1/searches/${search.record.id}`);
      return reply.code(202).send(viewOfSearch(search));
    },
  );

  registerResource(app, {
    kind: 'searches',
    entrySchema: searchEntrySchema,
    schema: searchSchema,
    texts: {
      get: { summary: 'A search as it stands, with its candidates' },
      delete: { summary: 'Delete a finished search', description: 'Its jobs stay.' },
    },
    querySchema: pageQueryOf('searches'),
    async list({ searches }, { limit, cursor }) {
      const { data, next_cursor } = await searches.list(limit, cursor);
      return { data: data.map(entryOfSearch), next_cursor };
    },
    get: async ({ searches }, id) => viewOfSearch(found('searches', id, await searches.get(id))),
    remove: ({ searches }, id) => searches.delete(id),
  });

  app.post(
    '/v1/searches/:id/cancel',
    {
      config: { scope: 'write' },
      schema: {
        tags: ['searches'],
        operationId: 'cancelSearch',
        summary: 'Cancel a search',
        description: 'Its jobs end with it; what was tried stays. A finished search stays as it is.',
        params: idParamsSchema,
        response: { 200: searchSchema },
        ...describeOperation({}, 'not_found', 'not_ready'),
      },
    },
    async ({ params: { id }, tenant }) =>
      viewOfSearch(found('searches', id, await tenant.searches.cancel(id))),
  );

  registerCandidates(app);

  app.get(
    '/v1/searches/:id/report',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['searches'],
        operationId: 'getSearchReport',
        summary: 'What a search has found so far, to be read',
        description:
          'As the search itself; by `Accept: text/markdown` or `text/html` as a text or a page without scripts.',
        params: idParamsSchema,
        response: { 200: searchSchema },
        ...describeOperation(
          {
            responses: {
              200: {
                headers: { Vary: { schema: { type: 'string', const: 'Accept' } } },
                content: {
                  'text/markdown': { schema: { type: 'string' } },
                  'text/html': { schema: { type: 'string' } },
                },
              },
            },
          },
          'not_found',
          'not_acceptable',
        ),
      },
    },
    async ({ params: { id }, headers, tenant: { searches } }, reply) => {
      reply.header('vary', 'Accept');
      const search = found('searches', id, await searches.get(id));
      const type = preferredMediaType(headers.accept, ['application/json', 'text/markdown', 'text/html']);
      if (type === 'application/json') return viewOfSearch(search);
      const facts = factsOfSearch(search);
      if (type === 'text/html') reply.headers(REPORT_PAGE_CONTENT);
      const text = type === 'text/html' ? await renderPage(facts) : renderSearchMarkdown(facts);
      // As it is: the route's own serializer is that of the search.
      return reply
        .type(`${type}; charset=utf-8`)
        .serializer(String)
        .send(text as never);
    },
  );

  registerArtifacts(app, {
    kind: 'searches',
    operationId: 'getSearchArtifact',
    summary: 'A file of the best model of a search',
    description: 'One of the names in `artifacts` of the job in `best`.',
    async find(id, { searches }) {
      const { best } = found('searches', id, await searches.get(id));
      if (best) return best;
      throw new EmpError('not_found', `search ${id} has no best model, or none yet`);
    },
  });

  registerEvents(app, services, {
    kind: 'searches',
    description:
      'Events `progress` (data: stage and percent) as lines end, then one of `succeeded`, `failed`, `canceled` (data: the search), after which the stream ends.',
    follow: ({ searches }, ...args) => searches.follow(...args),
    viewOf: viewOfSearch,
  });

  /** @throws EmpError naming fields */
  async function prepare(body: unknown, store: Store, asker: Asker): Promise<SearchRequest> {
    const { priority, metadata, webhook, ...asked } = parseBody(searchRequestSchema, body ?? {});
    const { model_id, calibration_dataset_id, selection_dataset_id, evaluation_dataset_id, ...terms } = asked;
    const data = { calibration_dataset_id, selection_dataset_id, evaluation_dataset_id };
    const ids = { model_id, scores_dataset_id: null, ...data };
    try {
      const recipes = linesOf(terms, calibration_dataset_id !== null);
      await findStructures(model_id, store, asker);
      const planned = await reader.lines(
        { recipes, inputs: storedInputs(ids), finder: await analyses.finder('structures') },
        asker,
      );
      // With a metric of the client's own one line is followed.
      const lines = terms.promise.external ? planned.lines.slice(0, 1) : planned.lines;
      return {
        ...{ model_id, calibration_dataset_id, evaluation_dataset_id, terms },
        ...(selection_dataset_id !== null && { selection_dataset_id }),
        ...(webhook && { webhook }),
        ...{ ...planned, lines, priority, metadata },
      };
    } catch (error) {
      throw namingFields(error);
    }
  }

  /** So that lines of structures that the model lacks are not tried. What goes wrong here is told by their jobs. */
  async function findStructures(modelId: string, store: Store, asker: Asker): Promise<void> {
    const model = await store.readRecord<ModelRecord>('models', modelId);
    if (model?.format !== 'onnx') return;
    const patience = AbortSignal.any([asker.signal, AbortSignal.timeout(ANALYSIS_MS)]);
    await analyses.of('structures', model, { ...asker, signal: patience }).catch(() => {});
  }
}

/** Charts take a tenth of a second to load, and few ask for this page. */
async function renderPage(facts: SearchFacts): Promise<string> {
  const { renderSearchPage } = await import('../../report/html/search-page.ts');
  return renderSearchPage(facts);
}
