import { isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import {
  checkTokenSettings,
  issuerSchema,
  scopesSchema,
  type TokenSettings,
  tenantsSchema,
  tokenSettingsOf,
} from './access/token-settings.ts';
import type { ExecutionProvider } from './runtime/session.ts';
import type { Retention } from './storage/retention-terms.ts';
import { allowedHostsSchema } from './webhooks/allowed-hosts.ts';

/** An empty value means: not set. That is how an `.env` file leaves a setting at its default. */
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema);

const integer = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${minimum} to ${maximum}`)
    .transform(Number)
    .pipe(
      z
        .number()
        .min(minimum, `must be a whole number from ${minimum} to ${maximum}`)
        .max(maximum, `must be a whole number from ${minimum} to ${maximum}`),
    );

const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });

/** A century is for ever. */
const days = integer(1, 36_500);

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const PROVIDERS = ['cpu', 'cuda'] as const satisfies readonly ExecutionProvider[];

const providers = z
  .string()
  .transform((text) => text.split(',').map((name) => name.trim()))
  .refine(
    (names) =>
      new Set(names).size === names.length &&
      names.every((name) => PROVIDERS.some((known) => known === name)),
    {
      message: `must list one or more of ${PROVIDERS.join(', ')}, each once, separated by commas`,
      abort: true,
    },
  )
  .pipe(z.array(z.enum(PROVIDERS)));

/** A name or an address, IPv6 in brackets or without. */
function isHost(text: string): boolean {
  return /^[\w.-]+$/.test(text) || (!text.includes('%') && isIPv6(text.replace(/^\[(.*)\]$/, '$1')));
}

const hosts = z
  .string()
  .transform((text) => text.split(',').map((host) => host.trim()))
  .pipe(
    z.array(
      z.string().refine(isHost, {
        error: 'must list names or addresses of hosts, without ports, separated by commas',
      }),
    ),
  );

const environmentSchema = z
  .object({
    HOST: optional(z.string().default('127.0.0.1')),
    PORT: optional(integer(0, 65535).default(3000)),
    ALLOWED_HOSTS: optional(hosts.default([])),
    API_KEYS_FILE: optional(z.string().optional()),
    QUOTAS_FILE: optional(z.string().optional()),
    OIDC_ISSUER: optional(issuerSchema.optional()),
    OIDC_AUDIENCE: optional(z.string().optional()),
    OIDC_TENANT_CLAIM: optional(z.string().default('tenant')),
    OIDC_SCOPE_CLAIM: optional(z.string().default('scope')),
    OIDC_SCOPES: optional(scopesSchema.optional()),
    OIDC_TENANTS: optional(tenantsSchema.optional()),
    ALLOW_ANONYMOUS: optional(z.enum(['true', 'false'], { error: 'must be true or false' }).default('false')),
    MAX_CONNECTIONS: optional(integer(1, 1_000_000).default(1000)),
    REQUEST_TIMEOUT_SECONDS: optional(integer(1, 86_400).default(60)),
    DATA_DIR: optional(z.string().default('./data')),
    REDIS_URL: optional(url('redis:', 'rediss:').optional()),
    DATABASE_URL: optional(url('postgres:', 'postgresql:').optional()),
    LOG_LEVEL: optional(
      z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }).default('info'),
    ),
    MAX_UPLOAD_BYTES: optional(integer(1, Number.MAX_SAFE_INTEGER).default(16 * 2 ** 30)),
    MIN_FREE_BYTES: optional(integer(0, Number.MAX_SAFE_INTEGER).default(256 * 2 ** 20)),
    RETENTION_MODELS_DAYS: optional(days.optional()),
    RETENTION_DATASETS_DAYS: optional(days.optional()),
    RETENTION_JOBS_DAYS: optional(days.optional()),
    RETENTION_BYTES: optional(integer(1, Number.MAX_SAFE_INTEGER).optional()),
    MAX_QUEUED_JOBS: optional(integer(1, 1_000_000).default(10_000)),
    MAX_JSON_BYTES: optional(integer(1024, 256 * 2 ** 20).default(4 * 2 ** 20)),
    MAX_EVENT_STREAMS: optional(integer(0, 100_000).default(1000)),
    MAX_EVENT_STREAMS_PER_CLIENT: optional(integer(0, 100_000).default(250)),
    WORKER_CONCURRENCY: optional(integer(1, 64).default(1)),
    WORKER_THREADS: optional(integer(1, 64).default(Math.min(2, availableParallelism()))),
    JOB_TIMEOUT_SECONDS: optional(integer(1, 14 * 24 * 3600).default(3600)),
    JOB_MEMORY_MIB: optional(integer(256, 2 ** 24).default(4096)),
    EXECUTION_PROVIDERS: optional(providers.default(['cpu'])),
    HEARTBEAT_FILE: optional(z.string().optional()),
    METRICS_PORT: optional(integer(1, 65535).optional()),
    OTEL_EXPORTER_OTLP_ENDPOINT: optional(url('http:', 'https:').optional()),
    WEBHOOK_ALLOWED_HOSTS: optional(allowedHostsSchema.default([])),
  })
  .refine((settings) => !(settings.REDIS_URL && settings.DATABASE_URL), {
    message: 'is set beside REDIS_URL: give the queue one home, not two',
    path: ['DATABASE_URL'],
  })
  .refine((settings) => !(settings.API_KEYS_FILE && settings.ALLOW_ANONYMOUS === 'true'), {
    message: 'is set beside API_KEYS_FILE: either keys are needed, or none is',
    path: ['ALLOW_ANONYMOUS'],
  })
  .refine((settings) => !(settings.OIDC_ISSUER && settings.ALLOW_ANONYMOUS === 'true'), {
    message: 'is set beside OIDC_ISSUER: either tokens are needed, or none is',
    path: ['ALLOW_ANONYMOUS'],
  })
  .superRefine(checkTokenSettings);

/** The names of all settings, as `.env.example` lists them. */
export const SETTINGS = Object.keys(
  environmentSchema.shape,
) as readonly (keyof typeof environmentSchema.shape)[];

/** What the environment decides; `.env.example` says what each is for. */
export interface Config {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Names and addresses that requests may be for, beside localhost and the host itself; their pages may use the service. */
  readonly allowedHosts: readonly string[];
  /** A file of keys, by which alone the service may be used. */
  readonly apiKeysFile: string | undefined;
  /** A file of what each tenant may use. */
  readonly quotasFile: string | undefined;
  /** Whose tokens the service may be used by. */
  readonly tokens: TokenSettings | undefined;
  /** Whether everyone who reaches another address than this machine's own may use the service. */
  readonly allowAnonymous: boolean;
  readonly maxConnections: number;
  /** Of the body of a request, before it counts how much of it has come. */
  readonly requestTimeoutSeconds: number;
  readonly dataDirectory: string;
  readonly redisUrl: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly maxUploadBytes: number;
  /** Of the disk that holds `dataDirectory`, which uploads leave to the results of jobs. */
  readonly minFreeBytes: number;
  /** For how long what is stored is kept. */
  readonly retention: Retention;
  /** Jobs that may wait; more are refused. */
  readonly maxQueuedJobs: number;
  /** Of scores as JSON. */
  readonly maxJsonBytes: number;
  /** Event streams and answers that wait for a job's end, open at the same time. */
  readonly eventStreams: { readonly inAll: number; readonly perClient: number };
  /** Jobs of the long lane computed at the same time, each in a process of its own. */
  readonly workerConcurrency: number;
  /** Threads of one job. */
  readonly workerThreads: number;
  /** What one job may take before it is ended. */
  readonly jobLimits: { readonly timeMs: number; readonly memoryMebibytes: number };
  /** What models run on, in order of preference. */
  readonly executionProviders: readonly ExecutionProvider[];
  /** What a worker writes every two seconds while it is well. */
  readonly heartbeatFile: string | undefined;
  /** Where a process of any role tells its metrics without a key. */
  readonly metricsPort: number | undefined;
  /** The collector that traces are sent to; without one none are made. */
  readonly otlpEndpoint: string | undefined;
  /** Names, addresses and ranges that webhooks may go to though they are private, and by http. */
  readonly webhookAllowedHosts: readonly string[];
}

/** A setting that cannot be used. The message names it and what would be right, in one line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the settings out of an environment. Throws `ConfigError`. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const parsed = environmentSchema.safeParse(environment);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      // URLs carry passwords, and this line goes to a log.
      const shown =
        /_(URL|ISSUER|ENDPOINT)$/.test(name) || environment[name] === undefined
          ? name
          : `${name}=${JSON.stringify(environment[name])}`;
      return `${shown} ${message}`;
    });
    throw new ConfigError(lines.join('; '));
  }
  const settings = parsed.data;
  return {
    host: settings.HOST,
    port: settings.PORT,
    allowedHosts: settings.ALLOWED_HOSTS,
    apiKeysFile: settings.API_KEYS_FILE,
    quotasFile: settings.QUOTAS_FILE,
    tokens: tokenSettingsOf(settings),
    allowAnonymous: settings.ALLOW_ANONYMOUS === 'true',
    maxConnections: settings.MAX_CONNECTIONS,
    requestTimeoutSeconds: settings.REQUEST_TIMEOUT_SECONDS,
    dataDirectory: settings.DATA_DIR,
    redisUrl: settings.REDIS_URL,
    databaseUrl: settings.DATABASE_URL,
    logLevel: settings.LOG_LEVEL,
    maxUploadBytes: settings.MAX_UPLOAD_BYTES,
    minFreeBytes: settings.MIN_FREE_BYTES,
    retention: {
      days: {
        models: settings.RETENTION_MODELS_DAYS ?? null,
        datasets: settings.RETENTION_DATASETS_DAYS ?? null,
        jobs: settings.RETENTION_JOBS_DAYS ?? null,
        searches: settings.RETENTION_JOBS_DAYS ?? null,
      },
      bytes: settings.RETENTION_BYTES ?? null,
    },
    maxQueuedJobs: settings.MAX_QUEUED_JOBS,
    maxJsonBytes: settings.MAX_JSON_BYTES,
    eventStreams: {
      inAll: settings.MAX_EVENT_STREAMS,
      perClient: settings.MAX_EVENT_STREAMS_PER_CLIENT,
    },
    workerConcurrency: settings.WORKER_CONCURRENCY,
    workerThreads: settings.WORKER_THREADS,
    jobLimits: {
      timeMs: settings.JOB_TIMEOUT_SECONDS * 1000,
      memoryMebibytes: settings.JOB_MEMORY_MIB,
    },
    executionProviders: settings.EXECUTION_PROVIDERS,
    heartbeatFile: settings.HEARTBEAT_FILE,
    metricsPort: settings.METRICS_PORT,
    otlpEndpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
    webhookAllowedHosts: settings.WEBHOOK_ALLOWED_HOSTS,
  };
}
