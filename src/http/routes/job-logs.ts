import { z } from 'zod';
import { LOG_EVENTS, readJobLog } from '../../jobs/job-log.ts';
import { describeOperation } from '../plugins/operations.ts';
import { found, idParamsSchema } from '../resource-routes.ts';
import { time } from '../schemas.ts';
import type { App } from '../services.ts';

const entrySchema = z
  .object({
    time,
    event: z
      .enum(LOG_EVENTS)
      .describe(
        '`started`: a worker has taken it up. `child_ended`: the process that computed it ended without an answer. `returned`: its worker was stopped and gave it back. `attempt_failed`: it may be tried again.',
      ),
    attempt: z.int().nullable().describe('Counted from 1; null of what belongs to none.'),
    request_id: z
      .string()
      .nullable()
      .describe('The `X-Request-Id` of the request that submitted it; null of all but `submitted`.'),
    worker: z
      .object({ host: z.string(), pid: z.int() })
      .nullable()
      .describe('Who took it up; null of all but `started`.'),
    stage: z.string().nullable(),
    code: z
      .string()
      .nullable()
      .describe(
        "Of a warning of the report its code; of the end the error's, or `succeeded` where there is none.",
      ),
    detail: z.string().nullable().describe('What there is to say beside, for people.'),
  })
  .meta({ id: 'JobLogEntry' });

/** What happened with a job. */
export function registerJobLogs(app: App): void {
  app.get(
    '/v1/jobs/:id/logs',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['jobs'],
        operationId: 'getJobLogs',
        summary: 'What happened with a job, in order of time',
        description:
          'Who took it up, its stages, warnings, how attempts failed, and its end. It is kept with the job, and bounded: of more than 20 attempts the last stands for those from the 20th on. Stages are written once a second; where the disk took no writes they are missing. Times are those of the machines that took part.',
        params: idParamsSchema,
        response: { 200: z.object({ data: z.array(entrySchema) }) },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id }, tenant: { store } }) => ({
      data: found('jobs', id, await readJobLog(store, id)),
    }),
  );
}
