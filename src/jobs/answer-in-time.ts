import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';

/** A server that is there answers in milliseconds; one that hangs must not make requests hang. */
const ANSWER_MS = 5000;

/** What the queue answers. @throws EmpError not_ready where it fails or does not answer in time */
export async function answerInTime<T>(
  answer: Promise<T>,
  log: Logger,
  timeoutMs: number = ANSWER_MS,
): Promise<T> {
  const answered = new AbortController();
  const silence = sleep(timeoutMs, undefined, { signal: answered.signal });
  try {
    return await Promise.race([answer, silence.then(() => Promise.reject(new Error('no answer')))]);
  } catch (error) {
    log.warn({ err: error }, 'queue');
    throw new EmpError('not_ready', 'the job queue does not answer; try again');
  } finally {
    answered.abort();
  }
}
