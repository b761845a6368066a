import type { FastifyRequest } from 'fastify';
import type { Asker } from '../../intake/slots.ts';
import type { Job } from '../../jobs/job.ts';
import { MAX_LOOKED_AT } from '../../jobs/job-lists.ts';
import type { Jobs } from '../../jobs/job-service.ts';
import { MAX_RANKED } from '../../jobs/ranked-jobs.ts';
import { answerWithJob, JOB_HEADERS, JOB_RESPONSES, readIdempotencyKey } from '../answer-job.ts';
import { registerEvents } from '../event-streams.ts';
import { prepareJob, receiveJob } from '../job-request.ts';
import { jobQuerySchema, jobRequestSchema, jobSchema } from '../job-schemas.ts';
import { viewOfJob } from '../job-view.ts';
import { describeOperation, FORM_TYPE, filePart, filesPart, inputSchema } from '../plugins/operations.ts';
import { found, idParamsSchema, registerResource } from '../resource-routes.ts';
import type { App, Services } from '../services.ts';
import { whenGone } from '../when-gone.ts';

const { recipe, priority, metadata, webhook } = jobRequestSchema.shape;

const REQUEST_CONTENT = {
  'application/json': { schema: inputSchema(jobRequestSchema) },
  [FORM_TYPE]: {
    schema: {
      type: 'object',
      required: ['model'],
      properties: {
        model: filesPart('As `file` of POST /v1/models.'),
        recipe: inputSchema(recipe),
        scores: filePart('As `scores` of POST /v1/datasets.'),
        calibration: filesPart('As `inputs` of POST /v1/datasets.'),
        calibration_constants: filesPart('As `constants` of POST /v1/datasets.'),
        calibration_labels: filePart('As `labels` of POST /v1/datasets.'),
        selection: filesPart('As `inputs` of POST /v1/datasets.'),
        selection_constants: filesPart('As `constants` of POST /v1/datasets.'),
        selection_labels: filePart('As `labels` of POST /v1/datasets.'),
        evaluation: filesPart('As `inputs` of POST /v1/datasets.'),
        evaluation_constants: filesPart('As `constants` of POST /v1/datasets.'),
        evaluation_labels: filePart('As `labels` of POST /v1/datasets.'),
        priority: inputSchema(priority),
        metadata: inputSchema(metadata),
        webhook: inputSchema(webhook),
      },
    },
    encoding: {
      recipe: { contentType: 'application/json' },
      metadata: { contentType: 'application/json' },
      webhook: { contentType: 'application/json' },
    },
  },
};

/** Jobs: a model and a recipe, computed in the background. */
export function registerJobs(app: App, services: Services): void {
  app.post(
    '/v1/jobs',
    {
      config: { scope: 'write' },
      schema: {
        tags: ['jobs'],
        operationId: 'createJob',
        summary: 'Prune a model',
        description:
          'With a model and datasets uploaded before, as JSON; or with all of them in the same request, as multipart. What could only fail is refused here.',
        response: { 200: jobSchema, 202: jobSchema },
        ...describeOperation(
          {
            requestBody: { required: true, content: REQUEST_CONTENT },
            parameters: JOB_HEADERS,
            responses: JOB_RESPONSES,
          },
          'malformed_body',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          'malformed_onnx',
          'malformed_safetensors',
          'malformed_archive',
          'malformed_npz',
          'malformed_npy',
          'missing_file',
          'unsupported_model',
          'unsupported_dtype',
          'no_prunable_tensors',
          'scores_mismatch',
          'samples_mismatch',
          'invalid_labels',
          'idempotency_key_reused',
          'insufficient_storage',
          'not_ready',
          'queue_full',
          'quota_exceeded',
        ),
      },
    },
    async (request, reply) => {
      const key = readIdempotencyKey(request);
      const gone = whenGone(reply);
      const submitted = await submit(request, key, {
        client: request.ip,
        tenant: request.tenant.tenant,
        signal: gone,
      });
      const { code, view } = await answerWithJob(request, reply, services, submitted, gone);
      return reply.code(code).send(view);
    },
  );

  registerResource(app, {
    kind: 'jobs',
    entrySchema: jobSchema,
    schema: jobSchema,
    texts: {
      list: {
        description: `A page of a filtered list looks at ${MAX_LOOKED_AT} jobs at most: it may be short, or empty, while its \`next_cursor\` goes on. A sorted list has the jobs that have the figure, of the newest ${MAX_RANKED}, as of a second ago; the first one that a process is asked for takes seconds where there are as many.`,
      },
      get: { summary: 'A job as it stands' },
      delete: {
        summary: 'Delete a finished job and its artifacts',
        description: 'Refused while the search that it was part of is there.',
      },
    },
    querySchema: jobQuerySchema,
    async list({ jobs }, { limit, cursor, sort, met, ...filter }) {
      const asked = { ...filter, order: sort, met: met === undefined ? met : met === 'true' };
      const { data, next_cursor } = await jobs.list(limit, cursor, asked);
      return { data: data.map(viewOfJob), next_cursor };
    },
    get: async ({ jobs }, id) => viewOfJob(await getJob(jobs, id)),
    remove: ({ jobs }, id) => jobs.delete(id),
  });

  app.post(
    '/v1/jobs/:id/cancel',
    {
      config: { scope: 'write' },
      schema: {
        tags: ['jobs'],
        operationId: 'cancelJob',
        summary: 'Cancel a job',
        description:
          'A running job ends within two seconds; a finished one stays as it is. Answers with the job.',
        params: idParamsSchema,
        response: { 200: jobSchema },
        ...describeOperation({}, 'not_found', 'not_ready'),
      },
    },
    async ({ params: { id }, tenant }) => viewOfJob(found('jobs', id, await tenant.jobs.cancel(id))),
  );

  registerEvents(app, services, {
    kind: 'jobs',
    description:
      'Events `progress` (data: stage and percent), then one of `succeeded`, `failed`, `canceled` (data: the job), after which the stream ends.',
    follow: ({ jobs }, ...args) => jobs.follow(...args),
    viewOf: viewOfJob,
  });

  /** What came along and was not published is gone before the client hears of the job. */
  async function submit(request: FastifyRequest, key: string | undefined, asker: Asker) {
    await using uploads = new AsyncDisposableStack();
    const prepared = request.isMultipart()
      ? await receiveJob(request, services, asker, uploads)
      : await prepareJob(request.body, services, asker);
    const { request: asked, publish } = prepared;
    const { jobs, webhooks } = request.tenant;
    if (asked.webhook) await webhooks.check(asked.webhook);
    return await jobs.submit({ ...asked, request_id: request.id }, key, publish);
  }
}

/** @throws EmpError `not_found` */
export async function getJob(jobs: Jobs, id: string): Promise<Job> {
  return found('jobs', id, await jobs.get(id));
}
