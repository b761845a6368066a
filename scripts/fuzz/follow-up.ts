import { setTimeout as sleep } from 'node:timers/promises';
import { post } from './attack.ts';
import { type Answer, send } from './send.ts';

/** A job may take so long before it is canceled, and then end. */
const JOB_MS = 4000;
const CANCEL_MS = 3000;
const POLL_MS = 100;
/** Requests that follow one that was accepted, at most; asking again whether a job has ended is none of its own. */
export const FOLLOWING = 4;

/**
 * What a client does next with what was accepted: looks at a model and its structures, lets a job run for a while and cancels it, and deletes both.
 * Resolves to the answers, and to what did not end as it should.
 */
export async function followUp(
  baseUrl: string,
  accepted: readonly Answer[],
  timeoutMs: number,
): Promise<{ answers: Answer[]; findings: string[] }> {
  const answers: Answer[] = [];
  const findings: string[] = [];
  const ask = async (method: string, path: string) => {
    const answer = await send(baseUrl, { ...post(path, '', ''), method, headers: {} }, timeoutMs);
    answers.push(answer);
    return answer;
  };
  for (const { status, text } of accepted) {
    const id = /"id":\s*"(\w+)"/.exec(text)?.[1];
    if (id === undefined || status === 0 || status >= 300) continue;
    if (id.startsWith('mdl_')) {
      await ask('GET', `/v1/models/${id}`);
      await ask('GET', `/v1/models/${id}/structures`);
      await ask('DELETE', `/v1/models/${id}`);
    } else if (id.startsWith('job_')) {
      const isEnded = async () => /"finished_at":\s*"/.test((await ask('GET', `/v1/jobs/${id}`)).text);
      if (!(await within(JOB_MS, isEnded))) {
        await ask('POST', `/v1/jobs/${id}/cancel`);
        if (!(await within(CANCEL_MS, isEnded)))
          findings.push(`a job goes on ${CANCEL_MS / 1000} s after its cancellation`);
      }
      await ask('DELETE', `/v1/jobs/${id}`);
    }
  }
  return { answers, findings };
}

/** Whether it holds before so much time is over. */
async function within(ms: number, holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + ms;
  for (;;) {
    if (await holds()) return true;
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
}
