import { openAsBlob } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE, type Server, startServer } from '../scripts/start-server.ts';
import { medianOf } from '../src/core/median.ts';
import { writeLargeOnnx, writeLargeSafetensors } from './large-models.ts';
import { formatMilliseconds, formatTable, time } from './measure.ts';

interface Job {
  readonly id: string;
  readonly status: string;
  readonly finished_at: string | null;
  readonly error: unknown;
}

const SCOPES = ['global', 'row'];
/** Between two looks at the job and at `/healthz`. */
const INTERVAL_MS = 20;

/** A gigabyte through the single-process service: what its computing child holds, and whether the API still answers. */
export async function benchService(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  try {
    await using service = await startServer(SERVICE, { DATA_DIR: join(directory, 'data') });
    const rows: string[][] = [];
    for (const [name, write] of [
      ['model.safetensors', writeLargeSafetensors],
      ['model.onnx', writeLargeOnnx],
    ] as const) {
      const path = join(directory, name);
      await write(path);
      const form = new FormData();
      form.append('file', await openAsBlob(path), name);
      const model = await post<{ id: string }>(`${service.baseUrl}/v1/models`, { body: form });
      await rm(path);
      for (const scope of SCOPES)
        rows.push([`${name}, scope ${scope}`, ...(await runJob(service, model.id, scope))]);
    }
    return [
      'A job on 268 M float32 weights in the service as `npm start` runs it: API, embedded queue and worker in one process, the job',
      'in its child. The child is one for all jobs, so its peak is that of the jobs so far.',
      '',
      formatTable(['job', 'seconds', 'peak resident, child', 'median of `/healthz` meanwhile, ms'], rows),
    ].join('\n');
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function runJob({ baseUrl, pid }: Server, modelId: string, scope: string): Promise<string[]> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ model_id: modelId, recipe: { scope } });
  const latencies: number[] = [];
  let peakBytes = 0;
  const elapsed = await time(async () => {
    let job = await post<Job>(`${baseUrl}/v1/jobs`, { headers, body });
    while (job.finished_at === null) {
      latencies.push(await time(async () => (await fetch(`${baseUrl}/healthz`)).text()));
      peakBytes = Math.max(peakBytes, await peakOfChildren(pid));
      await sleep(INTERVAL_MS);
      job = (await (await fetch(`${baseUrl}/v1/jobs/${job.id}`)).json()) as Job;
    }
    if (job.status !== 'succeeded') throw new Error(JSON.stringify(job.error));
  });
  const peak = `${(peakBytes / 2 ** 20).toFixed(0)} MiB`;
  return [formatMilliseconds(elapsed / 1000), peak, formatMilliseconds(medianOf(latencies))];
}

async function post<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetch(url, { method: 'POST', ...init });
  if (!response.ok) throw new Error(`${url}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** The most that any child of a process has held, in bytes, from Linux's /proc. */
async function peakOfChildren(pid: number | undefined): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const peaks = children
    .split(' ')
    .filter(Boolean)
    .map(async (child) => {
      const status = await readFile(`/proc/${child}/status`, 'utf8').catch(() => '');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
    });
  return Math.max(0, ...(await Promise.all(peaks)));
}
