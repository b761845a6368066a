import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { createApp } from '../../src/http/app.ts';
import { connectBackend } from '../../src/jobs/backends/connect.ts';
import { openJobs } from '../../src/jobs/job-service.ts';
import type { ProcessLimits } from '../../src/jobs/limited-process.ts';
import { StructureAnalyses } from '../../src/jobs/structure-analyses.ts';
import { startWorker } from '../../src/jobs/worker.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';

export interface TestService {
  readonly app: FastifyInstance;
  readonly store: Store;
  /** Where its queue lives. */
  readonly redis: Service;
  /** `http://127.0.0.1:PORT`, served on a real socket. */
  readonly url: string;
  /** Files of the data directory's resources and uploads, as relative paths. */
  files(kinds?: readonly string[]): Promise<string[]>;
  close(): Promise<void>;
}

/** The service as `main.ts` wires it, on a Redis and a data directory of its own; without a worker, jobs stay queued. */
export async function openTestService({
  worker = false,
  maxUploadBytes = 64 * 2 ** 20,
  closeGraceMs = 10_000,
  analysisLimits = {} as Partial<ProcessLimits>,
} = {}): Promise<TestService> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'emp-http-'));
  const redis = await startRedis();
  const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
  const store = await FolderStore.open(dataDirectory);
  const backend = await connectBackend({ redisUrl: redis.url, dataDirectory, log });
  const jobs = await openJobs({ store, backend, log });
  const working = worker ? await startWorker({ store, backend, concurrency: 1, log, graceMs: 100 }) : null;
  const analyses = new StructureAnalyses({ store, log, limits: analysisLimits });
  const app = await createApp({ store, jobs, analyses, log, maxUploadBytes, closeGraceMs });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    app,
    store,
    redis,
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    async files(kinds = ['models', 'datasets', 'jobs', 'idempotency', 'index', 'uploads']) {
      const found: string[] = [];
      for (const kind of kinds) {
        const entries = await readdir(join(dataDirectory, kind), { recursive: true, withFileTypes: true });
        for (const entry of entries)
          if (entry.isFile()) found.push(join(entry.parentPath, entry.name).slice(dataDirectory.length + 1));
      }
      return found.sort();
    },
    async close() {
      await app.close();
      await analyses.close();
      await working?.close();
      await jobs.close();
      await backend.close();
      await store.close();
      await redis.stop();
      await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A body as a file of a form. */
export function fileOf(content: Uint8Array): Blob {
  return new Blob([new Uint8Array(content)]);
}

export type FilePart = [part: string, name: string, content: Uint8Array];

/** Posts a job and waits for its end. */
export function postFiles(url: string, parts: readonly FilePart[], recipe: object): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  form.append('recipe', JSON.stringify(recipe));
  return fetch(`${url}/v1/jobs`, { method: 'POST', body: form, headers: { prefer: 'wait=60' } });
}

/** A JSON body, of a shape that the test knows. */
export async function readJson(response: Response) {
  return JSON.parse(await response.text());
}

/** What a problem must always have, and its parts for a closer look. */
export async function readProblem(
  response: Response,
): Promise<{ code: string; detail: string; errors: { path: string; message: string }[] }> {
  const problem = (await response.json()) as Record<string, unknown>;
  if (!response.headers.get('content-type')?.startsWith('application/problem+json'))
    throw new Error(`not a problem: ${response.status} ${JSON.stringify(problem)}`);
  if (problem.status !== response.status)
    throw new Error(`status ${response.status}, in the problem ${problem.status}`);
  if (problem.type !== `/problems/${problem.code}`) throw new Error(`type ${problem.type}`);
  if (problem.request_id !== response.headers.get('x-request-id'))
    throw new Error(`request_id ${problem.request_id}`);
  if (/\bat .*:\d+:\d+|\/src\//.test(JSON.stringify(problem))) throw new Error('shows a stack trace');
  for (const name of ['title', 'detail', 'instance']) if (!problem[name]) throw new Error(`no ${name}`);
  return { errors: [], ...problem } as never;
}
