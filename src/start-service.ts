import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Callers } from './access/caller.ts';
import { isLoopback } from './access/loopback.ts';
import type { Quotas } from './access/quotas.ts';
import { SettingsFileError } from './access/settings-file.ts';
import { type Config, ConfigError } from './config.ts';
import { collectWhenIdle } from './http/idle-collection.ts';
import { openMetricsPort } from './http/metrics-port.ts';
import { OpenAnswers } from './http/open-answers.ts';
import { ModelAnalyses } from './intake/model-analyses.ts';
import { ModelReader } from './intake/model-reader.ts';
import { BackendError } from './jobs/backends/backend-error.ts';
import { connectBackend } from './jobs/backends/connect.ts';
import { createLog } from './jobs/create-log.ts';
import { startHeartbeat } from './jobs/heartbeat.ts';
import { openTenants, type Tenants } from './jobs/tenants.ts';
import { createMetrics, registerFreeBytes, type ServiceMetrics } from './metrics/service-metrics.ts';
import { openCallers, openQuotas, openRateLimitRedis } from './open-access.ts';
import { naming, Opened } from './opened.ts';
import { freeBytes } from './storage/free-space.ts';
import { FolderStores, type Stores } from './storage/stores.ts';
import { openTracing } from './tracing/open-tracing.ts';
import type { Tracing } from './tracing/tracing.ts';
import { Destinations } from './webhooks/destinations.ts';

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

/** What tells of the process; there are traces only where a collector is named. */
type Observers = { readonly log: Logger; readonly metrics: ServiceMetrics; readonly tracing: Tracing | null };

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
  const tracing = await openTracing(config.otlpEndpoint, role);
  const log = createLog(config.logLevel, tracing?.logFields);
  const opened = new Opened(signal);
  try {
    if (tracing) await opened.add(Promise.resolve(tracing), (one) => one.close());
    await open(config, role, { log, metrics: createMetrics(), tracing }, opened, onListening);
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
  { log, metrics, tracing }: Observers,
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
  const { jobEnded } = metrics;
  registerFreeBytes(metrics.register, dataDirectory);
  // Before the queue, which may take seconds to open.
  const keys = role === 'worker' ? null : await openCallers(config, log, opened);
  const { redisUrl, databaseUrl } = config;
  const connecting = connectBackend({
    ...{ redisUrl, databaseUrl, dataDirectory, log, telemetry: tracing?.telemetry },
  });
  const backend = await opened.add(connecting, (one) => one.close());
  const webhooks = { destinations: new Destinations(config.webhookAllowedHosts) };
  const tenants = await opened.add(
    openTenants({
      stores,
      backend,
      log,
      maxQueued: config.maxQueuedJobs,
      quotas,
      jobEnded,
      retention: config.retention,
      webhooks,
    }),
    (one) => one.close(),
  );
  if (role !== 'api') {
    const {
      workerConcurrency: concurrency,
      workerThreads: threads,
      executionProviders: providers,
      jobLimits: limits,
    } = config;
    const { startWorkers } = await import('./jobs/workers.ts');
    const watchers = [metrics, tracing].flatMap((observer) => observer?.attempts ?? []);
    const starting = startWorkers({
      ...{ stores, backend, concurrency, threads, providers, limits, log },
      ...{ watchers, jobEnded },
      onEnded: (id, tenant) => tenants.announce(id, tenant),
    });
    await opened.add(starting, (worker) => worker.close());
    if (config.heartbeatFile) {
      const beating = startHeartbeat({ path: config.heartbeatFile, backend, log });
      await opened.add(naming({ HEARTBEAT_FILE: config.heartbeatFile }, beating), (one) => one.close());
    }
  }
  const metricsOpening = openMetricsPort(metrics.register, config);
  await opened.add(naming({ METRICS_PORT: config.metricsPort ?? '' }, metricsOpening), (one) => one.close());
  if (role !== 'worker') {
    // Not a worker's: what runs uploaded models need have no way out of its network.
    const { startDeliveryWorker } = await import('./jobs/webhooks/delivery-worker.ts');
    await opened.add(startDeliveryWorker(tenants, backend, log), (sender) => sender.close());
    onListening(await listen(config, { stores, tenants, quotas, log, metrics, tracing }, keys, opened));
  }
  // What a crash has left must not keep others waiting.
  tenants.keepRecovering();
  // By the terms that clients are told.
  if (role !== 'worker') tenants.keepExpiring();
  const { apiKeysFile, quotasFile, retention } = config;
  log.info({ role, dataDirectory, apiKeysFile, quotasFile, retention }, 'started');
}

/** Serves the API. @returns where */
async function listen(
  config: Config,
  given: Observers & { stores: Stores; tenants: Tenants; quotas: Quotas },
  keys: Callers | null,
  opened: Opened,
): Promise<string> {
  const { stores, tenants, quotas, ...observers } = given;
  const { log } = observers;
  const analyses = new ModelAnalyses({ stores, log });
  await opened.add(Promise.resolve(analyses), (one) => one.close());
  const reader = new ModelReader(stores.root);
  await opened.add(Promise.resolve(reader), (one) => one.close());
  reader.warm();
  const openAnswers = new OpenAnswers(config.eventStreams);
  const rateLimitRedis = await openRateLimitRedis(config, log, opened);
  const { host, port, allowedHosts, maxConnections, maxUploadBytes, maxJsonBytes, requestTimeoutSeconds } =
    config;
  const limits = {
    maxConnections,
    maxUploadBytes,
    maxJsonBytes,
    requestTimeoutMs: requestTimeoutSeconds * 1000,
  };
  tenants.keepConducting();
  const services = { tenants, reader, analyses, openAnswers, ...observers };
  // A worker has no use for it, nor has who cannot start.
  const { createApp } = await import('./http/app.ts');
  const app = await opened.add(
    createApp({ ...services, host, allowedHosts, keys, quotas, rateLimitRedis, ...limits }),
    (one) => one.close(),
  );
  const listening = naming({ HOST: host, PORT: port }, app.listen({ host, port }));
  await opened.add(listening.then(collectWhenIdle), (endCollecting) => endCollecting());
  // Whoever opens the page first need not wait for it to be made.
  const { pageAssets } = await import('./http/page-assets.ts');
  const made = pageAssets().catch((error: unknown) =>
    log.error({ err: error }, 'the page could not be made'),
  );
  // It is made by a child, which is not to outlive this process.
  await opened.add(Promise.resolve({ made }), (page) => page.made.then(() => undefined));
  const address = app.server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
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
