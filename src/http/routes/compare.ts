import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import { COMPARISON_FILE } from '../../pipeline/artifact-names.ts';
import { comparisonSchema } from '../../pipeline/compare/comparison.ts';
import { answerWithJob, JOB_HEADERS, JOB_RESPONSES, readIdempotencyKey } from '../answer-job.ts';
import { jobRequestSchema, jobSchema } from '../job-schemas.ts';
import { describeOperation, inputSchema } from '../plugins/operations.ts';
import { namingFields } from '../problem.ts';
import { idParamsSchema } from '../resource-routes.ts';
import type { App, Services } from '../services.ts';
import { parseBody } from '../validation.ts';
import { whenGone } from '../when-gone.ts';
import { getJob } from './jobs.ts';

const { priority, metadata, webhook } = jobRequestSchema.shape;

const compareRequestSchema = z
  .strictObject({
    original_model_id: z.string().max(64).describe('The model before it was pruned.'),
    pruned_model_id: z.string().max(64).describe('What any tool has made of it.'),
    evaluation_dataset_id: jobRequestSchema.shape.evaluation_dataset_id.describe(
      "The samples that the original, the pruned model and EMP's masks of the same size are measured on. ONNX only.",
    ),
    priority,
    metadata,
    webhook,
  })
  .meta({
    example: {
      original_model_id: 'mdl_0123456789abcdefghjkmnpqrs',
      pruned_model_id: 'mdl_3456789abcdefghjkmnpqrstvw',
    },
  });

/** Two models, of which one was made of the other by any tool. */
export function registerCompare(app: App, services: Services): void {
  app.post(
    '/v1/compare',
    {
      config: { scope: 'write' },
      schema: {
        tags: ['jobs'],
        operationId: 'compareModels',
        summary: 'Compare a pruned model with its original, and with what EMP would keep',
        description:
          'A job, whose `compare.json`, also under `/v1/jobs/{id}/comparison`, says what changed, how the masks overlap with the largest magnitudes of the same number, and with evaluation data whether one of these is better; `masks.safetensors` has the masks of the pruned model. [docs/compare.md](docs/compare.md).',
        response: { 200: jobSchema, 202: jobSchema },
        ...describeOperation(
          {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: inputSchema(compareRequestSchema) } },
            },
            parameters: JOB_HEADERS,
            responses: JOB_RESPONSES,
          },
          'malformed_body',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          'unsupported_model',
          'samples_mismatch',
          'invalid_labels',
          'limit_exceeded',
          'idempotency_key_reused',
          'insufficient_storage',
          'not_ready',
          'queue_full',
          'quota_exceeded',
        ),
      },
    },
    async (request, reply) => {
      const { tenant } = request;
      const key = readIdempotencyKey(request);
      const gone = whenGone(reply);
      const { priority, metadata, webhook, ...ids } = parseBody(compareRequestSchema, request.body ?? {});
      if (webhook) await tenant.webhooks.check(webhook);
      const asked = {
        original: ids.original_model_id,
        pruned: ids.pruned_model_id,
        evaluation: ids.evaluation_dataset_id,
      };
      const planned = await services.reader
        .comparison(asked, { client: request.ip, tenant: tenant.tenant, signal: gone })
        .catch((error) => {
          throw namingOriginal(namingFields(error));
        });
      const comparison = { ...planned, priority, metadata, ...(webhook && { webhook }) };
      const submitted = await tenant.jobs.submit({ ...comparison, request_id: request.id }, key);
      const { code, view } = await answerWithJob(request, reply, services, submitted, gone);
      return reply.code(code).send(view);
    },
  );

  app.get(
    '/v1/jobs/:id/comparison',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['jobs'],
        operationId: 'getComparison',
        summary: 'What a job of POST /v1/compare has found',
        description: 'The artifact `compare.json`.',
        params: idParamsSchema,
        response: { 200: comparisonSchema },
        ...describeOperation({}, 'not_found', 'conflict'),
      },
    },
    async ({ params: { id }, tenant: { jobs, store } }, reply) => {
      const { status, pruned_model_id } = await getJob(jobs, id);
      if (pruned_model_id === undefined)
        throw new EmpError(
          'conflict',
          `job ${id} prunes a model: its figures are under /v1/jobs/${id}/report`,
        );
      if (status !== 'succeeded')
        throw new EmpError('conflict', `job ${id} is ${status}: only a job that succeeded has a comparison`);
      // As it was written: it has a line for each tensor.
      return reply
        .type('application/json; charset=utf-8')
        .send(store.readFile('jobs', id, COMPARISON_FILE) as never);
    },
  );
}

/** Jobs call it by another name. */
function namingOriginal(error: unknown): unknown {
  if (!(error instanceof EmpError)) return error;
  const findings = error.findings.map((finding) =>
    finding.path === '/model_id' ? { ...finding, path: '/original_model_id' } : finding,
  );
  return new EmpError(error.code, error.message, findings);
}
