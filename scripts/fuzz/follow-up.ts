import { setTimeout as sleep } from 'node:timers/promises';
import { type HostileRequest, post } from './attack.ts';
import { type Answer, send as sendWhole } from './send.ts';

/** A job may take so long before it is canceled, and then end. */
const JOB_MS = 4000;
const CANCEL_MS = 3000;
const POLL_MS = 100;
/** Requests that follow one that was accepted, at most; asking again whether a job has ended is none of its own. */
export const FOLLOWING = 7;

/**
 * What a client does next with what was accepted: looks at a model, its structures and a dataset, has a job on a model, lets a job run for a while and
 * cancels it, and deletes all. Resolves to the answers, and to what did not end as it should.
 */
export async function followUp(
  baseUrl: string,
  accepted: readonly Answer[],
  timeoutMs: number,
): Promise<{ answers: Answer[]; findings: string[] }> {
  const answers: Answer[] = [];
  const findings: string[] = [];
  const send = async (request: HostileRequest) => {
    const answer = await sendWhole(baseUrl, request, timeoutMs);
    answers.push(answer);
    return answer;
  };
  const ask = (method: string, path: string) => send({ ...post(path, '', ''), method, headers: {} });

  async function follow({ status, text }: Answer): Promise<void> {
    const id = /"id":\s*"(\w+)"/.exec(text)?.[1];
    if (id === undefined || status === 0 || status >= 300) return;
    if (id.startsWith('mdl_')) await useModel(id);
    else if (id.startsWith('dat_')) await useDataset(id);
    else if (id.startsWith('job_')) await endJob(id);
  }

  async function useModel(id: string): Promise<void> {
    for (const path of [`/v1/models/${id}`, '/v1/models', `/v1/models/${id}/structures`])
      await ask('GET', path);
    const job = { model_id: id, recipe: { scope: 'layer', dry_run: true } };
    await follow(await send(post('/v1/jobs', 'application/json', JSON.stringify(job))));
    await ask('DELETE', `/v1/models/${id}`);
  }

  async function useDataset(id: string): Promise<void> {
    for (const path of [`/v1/datasets/${id}`, '/v1/datasets']) await ask('GET', path);
    await ask('DELETE', `/v1/datasets/${id}`);
  }

  async function endJob(id: string): Promise<void> {
    const isEnded = async () => /"finished_at":\s*"/.test((await ask('GET', `/v1/jobs/${id}`)).text);
    if (!(await within(JOB_MS, isEnded))) {
      await ask('POST', `/v1/jobs/${id}/cancel`);
      if (!(await within(CANCEL_MS, isEnded)))
        findings.push(`a job goes on ${CANCEL_MS / 1000} s after its cancellation`);
    }
    await ask('DELETE', `/v1/jobs/${id}`);
  }

  for (const answer of accepted) await follow(answer);
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
