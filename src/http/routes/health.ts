import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EmpError, type InputFinding } from '../../core/errors.ts';
import { describeOperation } from '../plugins/operations.ts';
import { toEmpError } from '../problem.ts';
import type { App, Services } from '../services.ts';

/** Answered however many connections are open: a service that is busy is not to be killed for it. */
export const HEALTH_PATH = '/healthz';

const healthSchema = z.object({ status: z.literal('ok') });

/** A queue that is away makes its client wait and retry; a readiness probe wants an answer. */
const READY_TIMEOUT_MS = 2000;

/** Liveness and readiness. */
export function registerHealth(app: App, { tenants }: Services): void {
  app.get(
    HEALTH_PATH,
    {
      config: { scope: 'public' },
      schema: {
        tags: ['service'],
        operationId: 'checkHealth',
        summary: 'Is the process up?',
        response: { 200: healthSchema },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: { scope: 'public' },
      schema: {
        tags: ['service'],
        operationId: 'checkReadiness',
        summary: 'Can queue and storage be written to?',
        description:
          'Writes a little to both. Not ready either when the disk is nearly full: results would not fit.',
        response: { 200: healthSchema },
        ...describeOperation({}, 'not_ready'),
      },
    },
    async (request) => {
      const findings: InputFinding[] = [];
      const check = async (path: string, answer: Promise<unknown>) => {
        const reason = await reasonOfFailure(answer);
        if (reason === null) return;
        request.log.warn({ check: path, reason: String(reason) }, 'not ready');
        const told = toEmpError(reason)?.message ?? 'cannot be reached, or does not take writes';
        findings.push({ path, message: told });
      };
      // At the same time: a refusal that nobody listens for yet would end the process.
      const storage = tenants.of(null).then(({ store }) => store.ping());
      await Promise.all([check('storage', storage), check('queue', tenants.queues.ping())]);
      if (findings.length === 0) return { status: 'ok' as const };
      throw new EmpError(
        'not_ready',
        findings.map(({ path, message }) => `${path}: ${message}`).join('; '),
        findings,
      );
    },
  );
}

/** What it failed with; null where it did not. */
function reasonOfFailure(check: Promise<unknown>): Promise<unknown> {
  const timer = new AbortController();
  const timeout = sleep(READY_TIMEOUT_MS, 'no answer', { signal: timer.signal }).catch(String);
  const answer = check.then(
    () => null,
    (error) => error ?? 'no reason',
  );
  return Promise.race([answer, timeout]).finally(() => timer.abort());
}
