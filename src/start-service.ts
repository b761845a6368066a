import { writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { Redis } from 'ioredis';
import { type Logger, pino } from 'pino';
import { NO_QUOTAS, type Quotas, watchQuotas } from './access/quotas.ts';
import { SettingsFileError } from './access/settings-file.ts';
import type { Callers } from './access/caller.ts';
import { watchKeys } from './access/key-file.ts';
import { isLoopback } from './access/loopback.ts';
import { TokenIssuer } from './access/token-issuer.ts';
import { keysOrTokens, Tokens } from './access/tokens.ts';
import { type Config, ConfigError } from './config.ts';
import { createApp } from './http/app.ts';
import { collectWhenIdle } from './http/idle-collection.ts';
import { OpenAnswers } from './http/open-answers.ts';
import { pageAssets } from './http/page-assets.ts';
import { ModelAnalyses } from './intake/model-analyses.ts';
import { ModelReader } from './intake/model-reader.ts';
import { BackendError } from './jobs/backends/backend.ts';
import { connectBackend } from './jobs/backends/connect.ts';
import { startHeartbeat } from './jobs/heartbeat.ts';
import { openTenants, type Tenants } from './jobs/tenants.ts';
import { startWorkers } from './jobs/workers.ts';
import { freeBytes } from './storage/free-space.ts';
import { FolderStores, type Stores } from './storage/stores.ts';

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

/** A service that anyone may use is not reached from elsewhere, unless that is said in so many words. */
function checkExposure({ host, apiKeysFile, tokens, allowAnonymous }: Config): void {
  if (apiKeysFile !== undefined || tokens || allowAnonymous || isLoopback(host)) return;
  throw new ConfigError(
    `HOST=${JSON.stringify(host)} lets everyone who reaches it use the service, and delete what others stored: name a file of keys in API_KEYS_FILE (\`emp keys add\` makes one), an issuer of tokens in OIDC_ISSUER, or set ALLOW_ANONYMOUS=true`,
  );
}

/** A line that cannot be written is lost. pino's own destination would end the process, and first try for ever, where stderr is a file on a full disk. */
function writeLog(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {}
}

/** What the roles open, and the order in which it ends: the last first. */
class Opened {
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #signal: AbortSignal;
  readonly #aborted: Promise<never>;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#aborted = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    this.#aborted.catch(() => {});
  }

  /** Waits until it is open, to be closed when all is. @throws the signal's reason at once where it aborts: a server may never answer */
  async add<T>(opening: Promise<T>, close: (one: T) => Promise<void> | void): Promise<T> {
    this.#signal.throwIfAborted();
    const one = await Promise.race([opening, this.#aborted]);
    this.#closers.push(() => close(one));
    return one;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

export interface StartOptions {
  /** Aborts when the process is to end: what has been opened by then is closed, and its reason is thrown. */
  readonly signal: AbortSignal;
  /** Hears where the API listens. */
  onListening(url: string): void;
}

/**
 * Starts what the role asks for: `all` (default), `api` or `worker`.
 * @returns what ends it: no new work is taken, requests are finished, everything is closed
 * @throws ConfigError, BackendError, EmpError and errors with a `code` for what the operator can mend
 */
export async function startService(
  config: Config,
  asked: string | undefined,
  { signal, onListening }: StartOptions,
): Promise<() => Promise<void>> {
  const role = parseRole(asked, config);
  if (role !== 'worker') checkExposure(config);
  // Logs go to stderr: stdout carries the one line that scripts wait for.
  const log = pino({ level: config.logLevel }, { write: writeLog });
  const opened = new Opened(signal);
  try {
    await open(config, role, log, opened, onListening);
    return () => opened.close();
  } catch (error) {
    await opened.close();
    // What fails as it is being ended is no failure.
    throw signal.aborted ? signal.reason : error;
  }
}

async function open(
  config: Config,
  role: Role,
  log: Logger,
  opened: Opened,
  onListening: (url: string) => void,
): Promise<void> {
  const dataDirectory = resolve(config.dataDirectory);
  const quotas = await openQuotas(config, log, opened);
  const opening = FolderStores.open(dataDirectory, {
    minFreeBytes: config.minFreeBytes,
    maxBytes: (tenant) => quotas.of(tenant).bytes,
  });
  const stores = await opened.add(naming({ DATA_DIR: config.dataDirectory }, opening), (one) => one.close());
  const free = await freeBytes(dataDirectory);
  if (role !== 'worker' && free < config.minFreeBytes)
    log.warn(
      { free, MIN_FREE_BYTES: config.minFreeBytes },
      'uploads are refused until the disk has more room',
    );
  const { redisUrl, databaseUrl } = config;
  const connecting = connectBackend({ redisUrl, databaseUrl, dataDirectory, log });
  const backend = await opened.add(connecting, (one) => one.close());
  const tenants = await opened.add(
    openTenants({ stores, backend, log, maxQueued: config.maxQueuedJobs, quotas }),
    (one) => one.close(),
  );
  if (role !== 'api') {
    const {
      workerConcurrency: concurrency,
      workerThreads: threads,
      executionProviders: providers,
      jobLimits: limits,
    } = config;
    const starting = startWorkers({ stores, backend, concurrency, threads, providers, limits, log });
    await opened.add(starting, (worker) => worker.close());
    if (config.heartbeatFile) {
      const beating = startHeartbeat({ path: config.heartbeatFile, backend, log });
      await opened.add(naming({ HEARTBEAT_FILE: config.heartbeatFile }, beating), (one) => one.close());
    }
  }
  if (role !== 'worker') onListening(await listen(config, { stores, tenants, quotas, log }, opened));
  // What a crash has left must not keep others waiting.
  tenants.keepRecovering();
  log.info({ role, dataDirectory }, 'started');
}

/** Serves the API. @returns where */
async function listen(
  config: Config,
  given: { stores: Stores; tenants: Tenants; quotas: Quotas; log: Logger },
  opened: Opened,
): Promise<string> {
  const { stores, tenants, quotas, log } = given;
  const analyses = new ModelAnalyses({ stores, log });
  await opened.add(Promise.resolve(analyses), (one) => one.close());
  const reader = new ModelReader(stores.root);
  await opened.add(Promise.resolve(reader), (one) => one.close());
  reader.warm();
  const openAnswers = new OpenAnswers(config.eventStreams);
  const rateLimitRedis = await openRateLimitRedis(config, log, opened);
  const keys = await openCallers(config, log, opened);
  const { host, port, allowedHosts, maxConnections, maxUploadBytes, maxJsonBytes, requestTimeoutSeconds } =
    config;
  const limits = {
    maxConnections,
    maxUploadBytes,
    maxJsonBytes,
    requestTimeoutMs: requestTimeoutSeconds * 1000,
  };
  tenants.keepConducting();
  const services = { tenants, reader, analyses, openAnswers, log };
  const app = await opened.add(
    createApp({ ...services, host, allowedHosts, keys, quotas, rateLimitRedis, ...limits }),
    (one) => one.close(),
  );
  const listening = naming({ HOST: host, PORT: port }, app.listen({ host, port }));
  await opened.add(listening.then(collectWhenIdle), (endCollecting) => endCollecting());
  // Whoever opens the page first need not wait for it to be made.
  const made = pageAssets().catch((error: unknown) =>
    log.error({ err: error }, 'the page could not be made'),
  );
  // It is made by a child, which is not to outlive this process.
  await opened.add(Promise.resolve({ made }), (page) => page.made.then(() => undefined));
  const address = app.server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}

/** Null without Redis: each process counts requests for itself. */
async function openRateLimitRedis(
  { redisUrl, quotasFile }: Config,
  log: Logger,
  opened: Opened,
): Promise<Redis | null> {
  if (redisUrl === undefined || quotasFile === undefined) return null;
  // A request is not to wait for a server that is away.
  const redis = new Redis(redisUrl, {
    connectTimeout: 500,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
  });
  redis.on('error', (error) => log.warn({ err: error }, 'requests are not counted'));
  return await opened.add(Promise.resolve(redis), (one) => one.disconnect());
}

/** No limits where the service has no such file. */
async function openQuotas({ quotasFile }: Config, log: Logger, opened: Opened): Promise<Quotas> {
  if (quotasFile === undefined) return NO_QUOTAS;
  const opening = watchQuotas(quotasFile, (error) =>
    log.error({ err: error }, 'the changed quotas cannot be used; those of before stay'),
  );
  return await opened.add(naming({ QUOTAS_FILE: quotasFile }, opening), (quotas) => quotas.close());
}

/** Null where the service asks for neither keys nor tokens. */
async function openCallers(config: Config, log: Logger, opened: Opened): Promise<Callers | null> {
  const keys = await openKeys(config, log, opened);
  if (!config.tokens) return keys;
  const issuer = new TokenIssuer({
    url: config.tokens.issuer,
    onError: (error) => log.error({ err: error }, 'OIDC_ISSUER cannot be asked for its keys'),
  });
  // It may well start after this service.
  void issuer.warm();
  return keysOrTokens(keys, new Tokens(issuer, config.tokens));
}

async function openKeys({ apiKeysFile }: Config, log: Logger, opened: Opened): Promise<Callers | null> {
  if (apiKeysFile === undefined) return null;
  const opening = watchKeys(apiKeysFile, (error) =>
    log.error({ err: error }, 'the changed keys cannot be used; those of before stay'),
  );
  return await opened.add(naming({ API_KEYS_FILE: apiKeysFile }, opening), (keys) => keys.close());
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

/** Whether its message is all that the operator needs. */
export function isMendable(error: unknown): error is Error {
  return (
    error instanceof ConfigError ||
    error instanceof SettingsFileError ||
    error instanceof BackendError ||
    (error instanceof Error && 'code' in error)
  );
}
