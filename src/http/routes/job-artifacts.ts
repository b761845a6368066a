import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import type { Job } from '../../jobs/job.ts';
import { REPORT_FILE, REPORT_PAGE, REPORT_TEXT } from '../../pipeline/artifact-names.ts';
import type { Artifact } from '../../pipeline/write-report.ts';
import { reportSchema } from '../../report/report.ts';
import { isCode } from '../../storage/durable-files.ts';
import type { FileRange, Store } from '../../storage/store.ts';
import { preferredMediaType } from '../accept.ts';
import { registerArtifacts } from '../artifact-routes.ts';
import { REPORT_PAGE_CONTENT } from '../content-headers.ts';
import { describeOperation } from '../plugins/operations.ts';
import { idParamsSchema } from '../resource-routes.ts';
import type { App } from '../services.ts';
import { withFields } from '../stored-json.ts';
import { getJob } from './jobs.ts';

const reportViewSchema = reportSchema
  .extend({ timings_ms: z.record(z.string(), z.number()).describe('What each stage took.') })
  .meta({ id: 'Report' });

const JSON_TYPE = 'application/json';
const PAGE_TYPE = 'text/html';
/** What is there to be read beside JSON. */
const READABLE = [
  [PAGE_TYPE, REPORT_PAGE],
  ['text/markdown', REPORT_TEXT],
] as const;

/** What a finished job made. */
export function registerJobArtifacts(app: App): void {
  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/report',
    config: { scope: 'read' },
    schema: {
      tags: ['jobs'],
      operationId: 'getReport',
      summary: "A finished job's report",
      description:
        'As JSON: the artifact `report.json`, and with it what each stage took. By `Accept: text/html`: the page `report.html`. By `Accept: text/markdown`: `report.md`, as a pull request shows it.',
      params: idParamsSchema,
      response: { 200: reportViewSchema },
      ...describeOperation(
        {
          responses: {
            200: {
              headers: { Vary: { schema: { type: 'string', const: 'Accept' } } },
              content: {
                'text/html': { schema: { type: 'string' } },
                'text/markdown': { schema: { type: 'string' } },
              },
            },
          },
        },
        'not_found',
        'not_acceptable',
        'conflict',
      ),
    },
    handler: async (request, reply) => {
      reply.header('vary', 'Accept');
      const { id } = request.params;
      const { jobs, store } = request.tenant;
      const job = await getJob(jobs, id);
      if (job.status !== 'succeeded')
        throw new EmpError(
          'conflict',
          `job ${job.id} is ${job.status}: only a job that succeeded has a report`,
        );
      if (job.line !== undefined)
        throw new EmpError(
          'conflict',
          `job ${job.id} tries a line of search ${job.search_id}: it has candidates.json, and no report`,
        );
      if (job.pruned_model_id !== undefined)
        throw new EmpError(
          'conflict',
          `job ${job.id} compares two models: what it found is under /v1/jobs/${job.id}/comparison`,
        );
      // Jobs made before there were pages and texts lack them.
      const readable = READABLE.flatMap(([type, name]) => {
        const artifact = job.artifacts.find((written) => written.name === name);
        return artifact ? [[type, artifact] as const] : [];
      });
      const offered = [JSON_TYPE, ...readable.map(([type]) => type)];
      const wanted = preferredMediaType(request.headers.accept, offered);
      const asked = readable.find(([type]) => type === wanted);
      return asked ? sendReadable(reply, store, job.id, ...asked) : sendReport(reply, store, job);
    },
  });

  registerArtifacts(app, {
    kind: 'jobs',
    operationId: 'getArtifact',
    summary: 'A file that a job made',
    description: 'One of the names in `artifacts` of the job.',
    find: (id, { jobs }) => getJob(jobs, id),
  });

  /** As it was written: it has a line for each tensor, and an earlier version's lacks what the schema has gained. */
  async function sendReport(
    reply: FastifyReply,
    store: Store,
    { id, artifacts, timings_ms }: Job,
  ): Promise<FastifyReply> {
    const report = artifacts.find(({ name }) => name === REPORT_FILE);
    const read = (range: FileRange) => store.readFile('jobs', id, REPORT_FILE, range);
    try {
      if (report) {
        const body = await withFields(read, report.size_bytes, { timings_ms: timings_ms ?? {} });
        return reply.type(`${JSON_TYPE}; charset=utf-8`).send(body);
      }
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
    }
    throw new EmpError('not_found', `the report of job ${id} is gone`);
  }

  function sendReadable(
    reply: FastifyReply,
    store: Store,
    id: string,
    type: string,
    { name, size_bytes }: Artifact,
  ): FastifyReply {
    reply.header('content-length', size_bytes);
    if (type === PAGE_TYPE) reply.headers(REPORT_PAGE_CONTENT);
    return reply.type(`${type}; charset=utf-8`).send(store.readFile('jobs', id, name));
  }
}
