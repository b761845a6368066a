import { describeOperation, inputSchema } from '../plugins/operations.ts';
import { found, idParamsSchema } from '../resource-routes.ts';
import {
  candidateParamsSchema,
  candidateQuerySchema,
  candidatesSchema,
  metricSchema,
  searchSchema,
} from '../search-schemas.ts';
import { candidatesOf, viewOfSearch } from '../search-view.ts';
import type { App } from '../services.ts';
import { parseBody } from '../validation.ts';

/** The candidates of a search: a list of them, and what a client measured of one. */
export function registerCandidates(app: App): void {
  app.get(
    '/v1/searches/:id/candidates',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['searches'],
        operationId: 'listCandidates',
        summary: 'The candidates of a search, some of them, or in an order',
        description: 'Those that the service has measured; of a metric of your own see `external`.',
        params: idParamsSchema,
        querystring: candidateQuerySchema,
        response: { 200: candidatesSchema },
        ...describeOperation({}, 'invalid_request', 'not_found'),
      },
    },
    async ({ params: { id }, query, tenant }) =>
      candidatesOf(found('searches', id, await tenant.searches.get(id)), query),
  );

  app.post(
    '/v1/searches/:id/candidates/:candidate/metric',
    {
      config: { scope: 'write' },
      schema: {
        tags: ['searches'],
        operationId: 'tellMetric',
        summary: 'Say what a metric of your own makes of a candidate',
        description:
          'Of a search whose promise is `external`: of candidate 0, the dense model, and of every other when its job has succeeded. The first value stands; the same again is no error.',
        params: candidateParamsSchema,
        response: { 200: searchSchema },
        ...describeOperation(
          {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: inputSchema(metricSchema) } },
            },
          },
          'malformed_body',
          'unsupported_media_type',
          'invalid_request',
          'not_found',
          'conflict',
          'not_ready',
        ),
      },
    },
    async ({ params: { id, candidate }, body, tenant }) => {
      const { value } = parseBody(metricSchema, body ?? {});
      return viewOfSearch(found('searches', id, await tenant.searches.tell(id, candidate, value)));
    },
  );
}
