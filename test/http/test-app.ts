import { EventEmitter } from 'node:events';
import type { Dirent } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { type Logger, pino } from 'pino';
import { type AppOptions, createApp } from '../../src/http/app.ts';
import { OpenAnswers, type OpenAnswersLimits } from '../../src/http/open-answers.ts';
import { type AnalysisLimits, ModelAnalyses } from '../../src/intake/model-analyses.ts';
import { ModelReader } from '../../src/intake/model-reader.ts';
import { JobLines } from '../../src/jobs/job-lines.ts';
import { JobQueues } from '../../src/jobs/job-queues.ts';
import { Tenants } from '../../src/jobs/tenants.ts';
import { Wakeups } from '../../src/jobs/wakeups.ts';
import type { Store } from '../../src/storage/store.ts';
import { FolderStores, type Stores } from '../../src/storage/stores.ts';

export interface TestApp {
  readonly app: FastifyInstance;
  readonly store: Store;
  /** As the global one, on a path, and answered without a socket. `client` stands for the address that it comes from. */
  fetch(path: string, init?: RequestInit, client?: string): Promise<Response>;
  /** Serves on a real socket as well, from the first call on. Resolves to `http://127.0.0.1:PORT`. */
  listen(): Promise<string>;
  /** Files of the data directory's resources and uploads, as relative paths. */
  files(kinds?: readonly string[]): Promise<string[]>;
  /** What uploads have in the data directory now, folders too, and resources that were published. */
  leftOver(): Promise<string[]>;
  close(): Promise<void>;
}

type Limits = Pick<
  AppOptions,
  | 'keys'
  | 'quotas'
  | 'maxUploadBytes'
  | 'closeGraceMs'
  | 'host'
  | 'allowedHosts'
  | 'maxConnections'
  | 'requestTimeoutMs'
>;

export interface TestAppOptions extends Partial<Limits> {
  /** Where its data directory is made. */
  readonly disk?: string;
  readonly minFreeBytes?: number;
  readonly analysisLimits?: Partial<AnalysisLimits>;
  readonly eventStreams?: OpenAnswersLimits;
}

/** What the app stands on. */
export interface Place {
  readonly dataDirectory: string;
  readonly stores: Stores;
  readonly log: Logger;
}

export interface OpenedQueue {
  readonly tenants: Tenants;
  close(): Promise<void>;
}

/** The app on a data directory of its own. Without `openQueue` there is no queue, and a request that asks one fails. */
export async function openTestApp(
  {
    disk = tmpdir(),
    minFreeBytes = 0,
    analysisLimits = {},
    eventStreams = { inAll: 100, perClient: 100 },
    ...limits
  }: TestAppOptions = {},
  openQueue: (place: Place) => Promise<OpenedQueue> = withoutQueue,
): Promise<TestApp> {
  const dataDirectory = await mkdtemp(join(disk, 'emp-http-'));
  const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
  const stores = await FolderStores.open(dataDirectory, { minFreeBytes });
  const { tenants, close } = await openQueue({ dataDirectory, stores, log });
  const analyses = new ModelAnalyses({ stores, log, limits: analysisLimits });
  const reader = new ModelReader(stores.root);
  const openAnswers = new OpenAnswers(eventStreams);
  if (openQueue !== withoutQueue) tenants.keepConducting();
  const app = await createApp({
    ...{ tenants, reader, analyses, openAnswers, log },
    maxUploadBytes: 64 * 2 ** 20,
    maxJsonBytes: 4 * 2 ** 20,
    ...limits,
  });
  return {
    app,
    store: await stores.of(null),
    fetch: (path, init, client) => inject(app, path, init, client),
    async listen() {
      if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
      return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    },
    async files(kinds = ['models', 'datasets', 'jobs', 'searches', 'idempotency', 'index', 'uploads']) {
      const found: string[] = [];
      for (const kind of kinds) {
        for (const entry of await readTree(join(dataDirectory, kind)))
          if (entry.isFile()) found.push(join(entry.parentPath, entry.name).slice(dataDirectory.length + 1));
      }
      return found.sort();
    },
    async leftOver() {
      const found: string[] = [];
      for (const kind of ['models', 'datasets', 'jobs', 'searches', 'uploads']) {
        for (const { parentPath, name } of await readTree(join(dataDirectory, kind))) {
          const path = join(parentPath, name).slice(dataDirectory.length + 1);
          // Beside the folder in which this process keeps its uploads.
          if (!/^uploads\/[^/]*$/.test(path)) found.push(path);
        }
      }
      return found.sort();
    },
    async close() {
      await app.close();
      await analyses.close();
      await reader.close();
      await close();
      await stores.close();
      await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Jobs as the store knows them: they can be read, and keep what they need from being removed. None can be submitted. */
async function withoutQueue({ stores, log }: Place): Promise<OpenedQueue> {
  const none = new EventEmitter() as never;
  const close = async () => {};
  const lines = new JobLines({ short: none, long: none });
  const lanes = { lines, news: none, wakeups: new Wakeups(), send: close, onEnded: () => {}, close };
  const queues = new JobQueues({ lanes, backend: none, log });
  return { tenants: new Tenants({ stores, queues, log }), close };
}

/** All below a folder; looks again where a folder of it goes away meanwhile. */
async function readTree(directory: string): Promise<Dirent[]> {
  for (;;) {
    try {
      return await readdir(directory, { recursive: true, withFileTypes: true });
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || path === directory) throw error;
    }
  }
}

/** A request as `fetch` would send it, handed to the app, and its answer as `fetch` would give it. */
async function inject(
  app: FastifyInstance,
  path: string,
  init: RequestInit = {},
  remoteAddress = '127.0.0.1',
): Promise<Response> {
  const request = new Request(new URL(path, 'http://localhost'), init);
  const payload = Buffer.from(await request.arrayBuffer());
  const { statusCode, headers, rawPayload } = await app.inject({
    method: request.method as NonNullable<InjectOptions['method']>,
    url: path,
    remoteAddress,
    headers: Object.fromEntries(request.headers),
    ...(payload.byteLength > 0 && { payload }),
  });
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, String(one)]),
  );
  const body = [204, 205, 304].includes(statusCode) ? null : new Uint8Array(rawPayload);
  return new Response(body, { status: statusCode, headers: pairs });
}

/** A body as a file of a form. */
export function fileOf(content: Uint8Array): Blob {
  return new Blob([new Uint8Array(content)]);
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
