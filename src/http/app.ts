import { randomUUID } from 'node:crypto';
import multipart from '@fastify/multipart';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Redis } from 'ioredis';
import type { z } from 'zod';
import type { Callers } from '../access/caller.ts';
import { NO_QUOTAS, type Quotas } from '../access/quotas.ts';
import { EmpError } from '../core/errors.ts';
import type { ServiceMetrics } from '../metrics/service-metrics.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { limitArrival } from './arrival.ts';
import { registerBodyTypes } from './body-types.ts';
import { Connections } from './connections.ts';
import { ANY_CONTENT } from './content-headers.ts';
import { registerJsonBodies } from './json-body.ts';
import { registerAccess, registerScopes } from './plugins/access.ts';
import { registerProblems, sendProblem } from './plugins/problems.ts';
import { registerRateLimit } from './plugins/rate-limit.ts';
import { registerTenant } from './plugins/request-tenant.ts';
import { refuseTunnel, refuseUnreadable } from './raw-answer.ts';
import { checkRequest } from './request-guard.ts';
import { registerRetention } from './retention-routes.ts';
import { registerCompare } from './routes/compare.ts';
import { registerDatasets } from './routes/datasets.ts';
import { HEALTH_PATH, registerHealth } from './routes/health.ts';
import { registerJobArtifacts } from './routes/job-artifacts.ts';
import { registerJobLogs } from './routes/job-logs.ts';
import { registerJobs } from './routes/jobs.ts';
import { registerNEff } from './routes/model-n-eff.ts';
import { registerModels } from './routes/models.ts';
import { registerPages } from './routes/pages.ts';
import { registerSearches } from './routes/searches.ts';
import { registerStructures } from './routes/structures.ts';
import { registerTenants } from './routes/tenant-admin.ts';
import { registerThresholds } from './routes/thresholds.ts';
import { registerUsage } from './routes/usage.ts';
import { registerWebhooks } from './routes/webhooks.ts';
import { ServedHosts } from './served-hosts.ts';
import type { App, Services } from './services.ts';
import { MAX_PARAM_LENGTH, unroutable } from './unroutable.ts';
import { checkParameters } from './validation.ts';

export interface AppOptions extends Omit<Services, 'closing'> {
  readonly log: FastifyBaseLogger;
  /** Where it will listen: a name or an address. */
  readonly host?: string;
  /** Who may use it; null: everyone. */
  readonly keys?: Callers | null;
  /** What each tenant may use; only how often it may ask is kept here. */
  readonly quotas?: Quotas;
  /** Where requests of all processes are counted. */
  readonly rateLimitRedis?: Redis | null;
  /** Further names and addresses under which clients reach it, and whose pages may use it. */
  readonly allowedHosts?: readonly string[];
  /** Open at the same time; requests on further ones are told to come again. */
  readonly maxConnections?: number;
  /** For the body of a request, which gets more as it grows. */
  readonly requestTimeoutMs?: number;
  /** Whether anyone but this process asks: documentation and metrics are for others, and take as long to load as all else. */
  readonly isServed?: boolean;
  /** How long closing waits for requests that are under way. */
  readonly closeGraceMs?: number;
  /** What else of this process is measured. */
  readonly metrics?: ServiceMetrics;
  /** What traces requests. */
  readonly tracing?: Tracing | null;
}

/** A connection on which nothing moves for so long is dropped: a stalled upload holds a file open. Longer than `Prefer: wait` lasts. */
const IDLE_CONNECTION_MS = 120_000;
/** For a request's line and headers, from when its connection stands. */
const HEADERS_MS = 20_000;
const CONNECTIONS_CHECK_MS = 5000;
/** With what a worker in the same process takes, less than docker-compose.yml gives between SIGTERM and SIGKILL. */
const CLOSE_GRACE_MS = 10_000;
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

/** In the place of Fastify's own compilers of schemas, which it would load: those here are zod's. */
const NO_COMPILER = (): never => {
  throw new Error('a schema that is not of zod');
};

/** The HTTP interface over stores and the services on them, which the caller opens and closes. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const {
    log,
    host = '127.0.0.1',
    keys = null,
    quotas = NO_QUOTAS,
    rateLimitRedis = null,
    allowedHosts = [],
    maxConnections = 1000,
    requestTimeoutMs = 60_000,
    isServed = true,
    closeGraceMs = CLOSE_GRACE_MS,
    metrics,
    tracing = null,
    ...given
  } = options;
  const hosts = new ServedHosts(host, allowedHosts);
  const app: App = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    connectionTimeout: IDLE_CONNECTION_MS,
    http: {
      headersTimeout: HEADERS_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
      // Refused below, with a problem.
      requireHostHeader: false,
    },
    // JSON.parse makes a field like others of it, and no schema takes it.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    // An answer of Fastify's own, without a problem; ours is below.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    frameworkErrors: (error, request, reply) => {
      reply.headers({ 'x-request-id': request.id, ...ANY_CONTENT });
      sendProblem(request, reply, unroutable(error, request));
    },
    clientErrorHandler: refuseUnreadable,
    schemaController: { compilersFactory: { buildValidator: NO_COMPILER, buildSerializer: NO_COMPILER } },
  }).withTypeProvider<ZodTypeProvider>();
  tracing?.traceRequests(app as unknown as FastifyInstance);
  // Fastify would read it as a string, which no route takes.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler<z.ZodType>(
    ({ schema, httpPart }) =>
      (input) =>
        checkParameters(schema, input, httpPart),
  );
  app.setSerializerCompiler(serializerCompiler);

  const connections = new Connections(app.server, maxConnections);
  limitArrival(app.server, requestTimeoutMs);
  for (const event of ['checkContinue', 'checkExpectation'])
    app.server.on(event, (request, response) => app.server.emit('request', request, response));
  app.server.on('connect', refuseTunnel);
  const closing = new AbortController();
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request;
    reply.headers({ 'x-request-id': request.id, ...ANY_CONTENT });
    checkRequest(raw, hosts);
    if (connections.isSurplus(raw.socket) && request.routeOptions.url !== HEALTH_PATH)
      throw new EmpError('not_ready', 'too many connections are open; try again');
    if (closing.signal.aborted) throw new EmpError('not_ready', 'the service is being stopped');
    done();
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, url } = request;
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    request.log.info({ method, url, status: reply.statusCode, ms }, 'request');
  });
  app.addHook('preClose', async () => {
    closing.abort(new EmpError('not_ready', 'the service is about to end; try again'));
    if (!app.server.listening) return;
    // An upload may go on for an hour, and what comes after this server's end must not wait for it.
    const patience = setTimeout(() => app.server.closeAllConnections(), closeGraceMs);
    app.server.once('close', () => clearTimeout(patience));
  });
  app.addHook('onSend', async ({ raw }, reply) => {
    // A connection kept alive would hold the closing server until its client lets go, or keep others out.
    if (closing.signal.aborted || connections.isSurplus(raw.socket)) reply.header('connection', 'close');
  });

  const services: Services = { ...given, closing: closing.signal };
  registerProblems(app, services);
  registerAccess(app, keys);
  registerTenant(app, services);
  await registerRateLimit(app, quotas, rateLimitRedis);
  registerScopes(app);
  registerJsonBodies(app);
  registerBodyTypes(app);
  app.addHook('onRequest', ({ raw }, reply, done) => {
    // Not before everything that refuses a request by its head.
    if (raw.headers.expect !== undefined) reply.raw.writeContinue();
    done();
  });
  await app.register(multipart);
  if (isServed) await registerForOthers(app, services, metrics);
  await app.register(async (scope: App) => registerThresholds(scope, services));
  registerModels(app, services);
  registerStructures(app, services);
  registerNEff(app, services);
  registerDatasets(app, services);
  registerJobs(app, services);
  registerJobLogs(app);
  registerJobArtifacts(app);
  registerCompare(app, services);
  registerSearches(app, services);
  for (const kind of ['models', 'datasets', 'jobs', 'searches'] as const)
    registerRetention(app, services.tenants, kind);
  registerUsage(app);
  registerTenants(app, services);
  registerWebhooks(app);
  registerHealth(app, services);
  registerPages(app);
  return app as unknown as FastifyInstance;
}

async function registerForOthers(
  app: App,
  services: Services,
  metrics: ServiceMetrics | undefined,
): Promise<void> {
  const [{ registerDocumentation }, { registerMetrics }] = await Promise.all([
    import('./plugins/documentation.ts'),
    import('./plugins/metrics.ts'),
  ]);
  await registerDocumentation(app);
  registerMetrics(app, services, metrics);
}
