import { writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { pino } from 'pino';
import { type Config, ConfigError, parseConfig } from './config.ts';
import { createApp } from './http/app.ts';
import { collectWhenIdle } from './http/idle-collection.ts';
import { OpenAnswers } from './http/open-answers.ts';
import { ModelReader } from './intake/model-reader.ts';
import { StructureAnalyses } from './intake/structure-analyses.ts';
import { BackendError } from './jobs/backends/backend.ts';
import { connectBackend } from './jobs/backends/connect.ts';
import { startHeartbeat } from './jobs/heartbeat.ts';
import { openJobs } from './jobs/job-service.ts';
import { Searches } from './jobs/search-service.ts';
import { startWorkers } from './jobs/workers.ts';
import { FolderStore } from './storage/folder-store.ts';
import { freeBytes } from './storage/free-space.ts';

const ROLES = ['all', 'api', 'worker'] as const;
type Role = (typeof ROLES)[number];

/** `all` (default): API and worker in one process. `api`, `worker`: one of them, with a queue that both can reach. */
function parseRole(role = 'all', { redisUrl, databaseUrl }: Config): Role {
  const known = ROLES.find((name) => name === role);
  if (!known) throw new ConfigError(`role ${JSON.stringify(role)} must be one of ${ROLES.join(', ')}`);
  if (known !== 'all' && !redisUrl && !databaseUrl) {
    throw new ConfigError(
      `role ${known} needs REDIS_URL or DATABASE_URL: the embedded queue lives inside one process, which \`npm start\` runs`,
    );
  }
  return known;
}

/** A line that cannot be written is lost. pino's own destination would end the process, and first try for ever, where stderr is a file on a full disk. */
function writeLog(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {}
}

/** Starts what the role asks for. Returns what ends it: no new work is taken, requests are finished, everything is closed. */
async function start(config: Config, role: Role): Promise<() => Promise<void>> {
  // Logs go to stderr: stdout carries the one line that scripts wait for.
  const log = pino({ level: config.logLevel }, { write: writeLog });
  const dataDirectory = resolve(config.dataDirectory);
  const opened: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    const opening = FolderStore.open(dataDirectory, config.minFreeBytes);
    const store = await naming({ DATA_DIR: config.dataDirectory }, opening);
    opened.push(() => store.close());
    const free = await freeBytes(dataDirectory);
    if (role !== 'worker' && free < config.minFreeBytes)
      log.warn(
        { free, MIN_FREE_BYTES: config.minFreeBytes },
        'uploads are refused until the disk has more room',
      );
    const { redisUrl, databaseUrl } = config;
    const backend = await connectBackend({ redisUrl, databaseUrl, dataDirectory, log });
    opened.push(() => backend.close());
    const jobs = await openJobs({ store, backend, log, maxQueued: config.maxQueuedJobs });
    opened.push(() => jobs.close());
    if (role !== 'api') {
      const {
        workerConcurrency: concurrency,
        workerThreads: threads,
        executionProviders: providers,
        jobLimits: limits,
      } = config;
      const worker = await startWorkers({ store, backend, concurrency, threads, providers, limits, log });
      opened.push(() => worker.close());
      if (config.heartbeatFile) {
        const starting = startHeartbeat({ path: config.heartbeatFile, backend, log });
        const heartbeat = await naming({ HEARTBEAT_FILE: config.heartbeatFile }, starting);
        opened.push(async () => heartbeat.close());
      }
    }
    if (role !== 'worker') {
      const analyses = new StructureAnalyses({ store, log });
      opened.push(() => analyses.close());
      const reader = new ModelReader(store.root);
      opened.push(() => reader.close());
      reader.warm();
      const openAnswers = new OpenAnswers(config.eventStreams);
      const searches = new Searches({ store, jobs, log });
      opened.push(() => searches.close());
      searches.keepConducting();
      const services = { store, jobs, searches, reader, analyses, openAnswers, log };
      const { host, allowedHosts, maxConnections, maxUploadBytes, maxJsonBytes, requestTimeoutSeconds } =
        config;
      const limits = {
        maxConnections,
        maxUploadBytes,
        maxJsonBytes,
        requestTimeoutMs: requestTimeoutSeconds * 1000,
      };
      const app = await createApp({ ...services, host, allowedHosts, ...limits });
      opened.push(() => app.close());
      await naming({ HOST: host, PORT: config.port }, app.listen({ host, port: config.port }));
      const endCollecting = collectWhenIdle();
      opened.push(async () => endCollecting());
      const { port } = app.server.address() as AddressInfo;
      console.log(`listening on http://${host.includes(':') ? `[${host}]` : host}:${port}`);
    }
    // What a crash has left must not keep others waiting.
    jobs.keepRecovering();
    log.info({ role, dataDirectory }, 'started');
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the system refuses is told with the settings that asked for it. @throws ConfigError, and what else goes wrong as it is */
async function naming<T>(settings: Readonly<Record<string, string | number>>, begun: Promise<T>): Promise<T> {
  try {
    return await begun;
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const shown = Object.entries(settings).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    throw new ConfigError(`${shown.join(', ')}: ${error.message}`);
  }
}

/** One line for what the operator can mend; everything for what is our fault. */
function fail(error: unknown): never {
  const mendable =
    error instanceof ConfigError ||
    error instanceof BackendError ||
    (error instanceof Error && 'code' in error);
  console.error(mendable ? `cannot start: ${(error as Error).message}` : error);
  process.exit(1);
}

async function main(): Promise<void> {
  const config = parseConfig(process.env);
  const stop = await start(config, parseRole(process.argv[2], config));
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // A second signal means: now.
      if (stopping) process.exit(1);
      stopping = true;
      // What does not stop in its time dies with the process.
      stop().then(() => process.exit(0), fail);
    });
  }
}

main().catch(fail);
