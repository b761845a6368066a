import { openAsBlob } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createGaussian } from '../../bench/gaussian.ts';
import { createJobForm } from '../chaos/workload.ts';
import type { Answers } from './answers.ts';

const MODEL = fileURLToPath(new URL('../../examples/fc2-mnist.onnx', import.meta.url));

/** What is common to all loads of one run. */
export interface Run {
  readonly baseUrl: string;
  readonly answers: Answers;
  readonly signal: AbortSignal;
  /** The job that was submitted last. */
  newestJob: string | null;
}

/** One kind of request, begun every so often unless too many of it are under way. */
interface Load {
  readonly everyMs: number;
  readonly atATime: number;
  send(run: Run): Promise<void>;
}

async function ask(run: Run, what: string, path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(run.baseUrl + path, { ...init, signal: run.signal });
  run.answers.note(what, response);
  return response;
}

export function gaussianScores(count: number): Float32Array<ArrayBuffer> {
  const scores = new Float32Array(count);
  createGaussian(1)(scores);
  return scores;
}

function thresholds(count: number, everyMs: number, isJson: boolean): Load {
  const scores = gaussianScores(count);
  const body = isJson ? JSON.stringify({ scores: [...scores] }) : Buffer.from(scores.buffer);
  const headers = { 'content-type': isJson ? 'application/json' : 'application/octet-stream' };
  return {
    everyMs,
    atATime: 4,
    async send(run) {
      const what = `thresholds of ${count.toExponential(0)}`;
      await (await ask(run, what, '/v1/thresholds', { method: 'POST', headers, body })).bytes();
    },
  };
}

const upload: Load = {
  everyMs: 3000,
  atATime: 2,
  async send(run) {
    const body = new FormData();
    body.append('file', await openAsBlob(MODEL), 'model.onnx');
    const response = await ask(run, 'upload', '/v1/models', { method: 'POST', body });
    const { id } = (await response.json()) as { id?: string };
    if (!response.ok) return;
    await (await ask(run, 'inventory', `/v1/models/${id}`, {})).bytes();
    await (await ask(run, 'deletion', `/v1/models/${id}`, { method: 'DELETE' })).bytes();
  },
};

const job: Load = {
  everyMs: 4000,
  atATime: 8,
  async send(run) {
    const body = await createJobForm('scoring');
    const response = await ask(run, 'job', '/v1/jobs', { method: 'POST', body });
    const { id } = (await response.json()) as { id?: string };
    if (response.ok && id !== undefined) run.newestJob = id;
  },
};

/** A reader of events follows the newest job to its end, and then the next. */
export async function followJobs(run: Run): Promise<void> {
  let followed: string | null = null;
  while (!run.signal.aborted) {
    try {
      if (run.newestJob !== null && run.newestJob !== followed) {
        const id: string = run.newestJob;
        const response = await ask(run, 'events', `/v1/jobs/${id}/events`, {});
        await response.bytes();
        // One that was refused comes again.
        if (response.ok) followed = id;
      }
      await sleep(500, undefined, { signal: run.signal });
    } catch (error) {
      if (!run.signal.aborted) run.answers.noteFailure('events', error);
    }
  }
}

/** A third of two cores, and for some tenths of a second, when a job starts or ends, all of them. */
export const LOADS: readonly Load[] = [
  thresholds(1e3, 100, true),
  thresholds(1e4, 200, true),
  thresholds(1e5, 2000, true),
  thresholds(1e5, 500, false),
  thresholds(1e6, 1000, false),
  upload,
  job,
];

/** Keeps a load up until the run's signal. */
export async function keepUp(load: Load, run: Run): Promise<void> {
  const underWay = new Set<Promise<void>>();
  while (!run.signal.aborted) {
    if (underWay.size < load.atATime) {
      const sent = load
        .send(run)
        .catch((error) => void (run.signal.aborted || run.answers.noteFailure('load', error)))
        .finally(() => underWay.delete(sent));
      underWay.add(sent);
    }
    await sleep(load.everyMs, undefined, { signal: run.signal }).catch(() => {});
  }
  await Promise.all(underWay);
}
