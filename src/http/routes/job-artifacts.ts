import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import type { Job } from '../../jobs/job.ts';
import { REPORT_FILE, REPORT_PAGE } from '../../pipeline/artifact-names.ts';
import type { Artifact } from '../../pipeline/write-report.ts';
import { reportSchema } from '../../report/report.ts';
import { isCode } from '../../storage/durable-files.ts';
import type { FileRange } from '../../storage/store.ts';
import { preferredMediaType } from '../accept.ts';
import { registerArtifacts } from '../artifact-routes.ts';
import { REPORT_PAGE_CONTENT } from '../content-headers.ts';
import { describeOperation } from '../plugins/operations.ts';
import { idParamsSchema } from '../resource-routes.ts';
import type { App, Services } from '../services.ts';
import { withFields } from '../stored-json.ts';
import { getJob } from './jobs.ts';

const reportViewSchema = reportSchema
  .extend({ timings_ms: z.record(z.string(), z.number()).describe('What each stage took.') })
  .meta({ id: 'Report' });

const JSON_TYPE = 'application/json';
const PAGE_TYPE = 'text/html';

/** What a finished job made. */
export function registerJobArtifacts(app: App, { jobs, store }: Services): void {
  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/report',
    schema: {
      tags: ['jobs'],
      operationId: 'getReport',
      summary: "A finished job's report",
      description:
        'As JSON: the artifact `report.json`, and with it what each stage took. By `Accept: text/html`: the page `report.html`.',
      params: idParamsSchema,
      response: { 200: reportViewSchema },
      ...describeOperation(
        {
          responses: {
            200: {
              headers: { Vary: { schema: { type: 'string', const: 'Accept' } } },
              content: { 'text/html': { schema: { type: 'string' } } },
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
      // Jobs made before there were pages lack one.
      const page = job.artifacts.find(({ name }) => name === REPORT_PAGE);
      const type = preferredMediaType(request.headers.accept, page ? [JSON_TYPE, PAGE_TYPE] : [JSON_TYPE]);
      if (page && type === PAGE_TYPE) return sendPage(reply, job.id, page);
      return sendReport(reply, job);
    },
  });

  registerArtifacts(app, store, {
    kind: 'jobs',
    operationId: 'getArtifact',
    summary: 'A file that a job made',
    description: 'One of the names in `artifacts` of the job.',
    find: (id) => getJob(jobs, id),
  });

  /** As it was written: it has a line for each tensor, and an earlier version's lacks what the schema has gained. */
  async function sendReport(reply: FastifyReply, { id, artifacts, timings_ms }: Job): Promise<FastifyReply> {
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

  function sendPage(reply: FastifyReply, id: string, page: Artifact): FastifyReply {
    reply.headers({ 'content-length': page.size_bytes, ...REPORT_PAGE_CONTENT });
    return reply.type(`${PAGE_TYPE}; charset=utf-8`).send(store.readFile('jobs', id, page.name));
  }
}
