import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { pino } from 'pino';
import type { Config } from './config.ts';
import type { EmpError } from './core/errors.ts';
import { createApp } from './http/app.ts';
import { OpenAnswers } from './http/open-answers.ts';
import { ModelAnalyses } from './intake/model-analyses.ts';
import { ModelReader } from './intake/model-reader.ts';
import { openLocalJobs } from './jobs/local-jobs.ts';
import { FolderStores } from './storage/stores.ts';

/** How soon the end of a search's jobs is seen: nobody else asks this process for anything. */
const LOOK_MS = 20;
/** Answers without a body. */
const EMPTY = [204, 205, 304];

/** The API in this process. */
export interface LocalService extends AsyncDisposable {
  /** As the global `fetch`, of a path. Nothing listens: the request is handed to the route. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A folder for what the caller needs meanwhile. */
  readonly scratch: string;
  readonly isLocal: true;
}

/**
 * Opens what answers requests in this process: the routes of the service over a folder, its jobs in children, and no queue. So what is told, and what is
 * computed, is the service's own. Disposing of it ends the children.
 * @param scratch an empty folder, which the caller removes afterwards
 * @param onFault hears that the folder takes no writes
 * @throws errors with a `code` where it cannot be written to
 */
export async function openLocalService(
  config: Config,
  scratch: string,
  onFault: (error: EmpError) => void,
): Promise<LocalService> {
  await using opened = new AsyncDisposableStack();
  const log = pino({ level: 'silent' });
  const stores = opened.adopt(await FolderStores.open(join(scratch, 'data')), (one) => one.close());
  const { jobLimits: limits, workerThreads: threads, executionProviders: providers } = config;
  const { tenants } = opened.use(await openLocalJobs({ stores, log, limits, threads, providers, onFault }));
  tenants.keepConducting(LOOK_MS);
  const analyses = opened.adopt(new ModelAnalyses({ stores, log }), (one) => one.close());
  const reader = opened.adopt(new ModelReader(stores.root), (one) => one.close());
  const openAnswers = new OpenAnswers(config.eventStreams);
  const { maxUploadBytes, maxJsonBytes } = config;
  const services = { tenants, reader, analyses, openAnswers, log };
  const served = { ...services, maxUploadBytes, maxJsonBytes, isServed: false };
  const app = opened.adopt(await createApp(served), (one) => one.close());
  const kept = opened.move();
  return {
    scratch,
    isLocal: true,
    fetch: (path, init) => inject(app, path, init),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Hands a request to the app, body and answer as streams. */
async function inject(app: FastifyInstance, path: string, init: RequestInit = {}): Promise<Response> {
  const request = new Request(new URL(path, 'http://localhost'), init);
  const answer = await app.inject({
    method: request.method as NonNullable<InjectOptions['method']>,
    url: path,
    headers: Object.fromEntries(request.headers),
    payloadAsStream: true,
    ...(request.body && { payload: Readable.fromWeb(request.body) }),
    ...(init.signal && { signal: init.signal }),
  });
  const pairs = Object.entries(answer.headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, String(one)]),
  );
  const body = EMPTY.includes(answer.statusCode) ? null : (Readable.toWeb(answer.stream()) as ReadableStream);
  return new Response(body, { status: answer.statusCode, headers: pairs });
}
