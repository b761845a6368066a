import type { FastifyReply, FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';
import type { Job } from '../jobs/job.ts';
import type { JobView } from './job-schemas.ts';
import { viewOfJob } from './job-view.ts';
import { MAX_WAIT_SECONDS, parsePreferWait } from './prefer.ts';
import type { Services } from './services.ts';

/** What a request that submits a job may say beside its body. */
export const JOB_HEADERS = [
  {
    name: 'Idempotency-Key',
    in: 'header',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
    description: 'The same key again returns the first job, and is refused where the request differs.',
  },
  {
    name: 'Prefer',
    in: 'header',
    schema: { type: 'string', example: 'wait=30' },
    description: `\`wait=N\`: answer when the job has finished, or after N seconds (at most ${MAX_WAIT_SECONDS}). Where too many wait it is passed over: the answer is at once, without \`Preference-Applied\`.`,
  },
];

const LOCATION = { Location: { schema: { type: 'string' }, description: 'The path of the job.' } };

export const JOB_RESPONSES = {
  200: { description: 'With `Prefer: wait`: the finished job.', headers: LOCATION },
  202: { description: 'The job was accepted; it survives a restart from here on.', headers: LOCATION },
};

/** Tells a client of the job that its request made, at once or when it has ended. @param gone aborts when the client leaves */
export async function answerWithJob(
  { headers, ip, tenant, log }: FastifyRequest,
  reply: FastifyReply,
  { openAnswers, closing }: Services,
  { job, created }: { readonly job: Job; readonly created: boolean },
  gone: AbortSignal,
): Promise<{ readonly code: 200 | 202; readonly view: JobView }> {
  log.info({ job: job.id, created }, 'job submitted');
  if (!created) reply.header('idempotency-replayed', 'true');
  reply.header('location', `/v1/jobs/${job.id}`);
  const seconds = parsePreferWait(headers.prefer);
  if (seconds === null) return { code: 202, view: viewOfJob(job) };
  using place = openAnswers.open(ip);
  // A preference need not be honored (RFC 7240).
  if (!place) return { code: 202, view: viewOfJob(job) };
  reply.header('preference-applied', `wait=${seconds}`);
  const signal = AbortSignal.any([closing, gone]);
  const latest = (await tenant.jobs.wait(job.id, seconds * 1000, signal)) ?? job;
  await openAnswers.turns.next();
  return { code: latest.finished_at === null ? 202 : 200, view: viewOfJob(latest) };
}

/** @throws EmpError `invalid_request` */
export function readIdempotencyKey({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && /^[\x20-\x7e]{1,255}$/.test(key)) return key;
  const message = 'must be 1 to 255 printable ASCII characters';
  throw new EmpError('invalid_request', `Idempotency-Key ${message}`, [{ path: 'Idempotency-Key', message }]);
}
