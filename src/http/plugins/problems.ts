import type { FastifyReply, FastifyRequest } from 'fastify';
import { EmpError } from '../../core/errors.ts';
import { isCode } from '../../storage/durable-files.ts';
import { removedMeanwhile } from '../../storage/store-place.ts';
import { unsupportedType } from '../body-types.ts';
import { createProblem, PROBLEMS, type Problem, toEmpError } from '../problem.ts';
import type { App, Services } from '../services.ts';

/** Headers of the content that a request asked for. */
const OF_CONTENT = ['etag', 'cache-control', 'content-disposition', 'accept-ranges', 'content-length'];

/** Every failed request ends as `application/problem+json`: thrown errors, unknown paths, wrong methods. */
export function registerProblems(app: App, { tenants }: Pick<Services, 'tenants'>): void {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];

  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/:\w+/g, '[^/]+').replaceAll('*', '.*')}$`);
    routes.push({ pattern, methods: [method].flat() });
  });

  app.setErrorHandler(async (error, request, reply) => {
    drain(request);
    // Fastify would close the connection of a refused body, and its reset may overtake the answer.
    reply.removeHeader('connection');
    // What was to be sent is not what is: a problem is nobody's attachment, nor kept for a year.
    for (const name of OF_CONTENT) reply.removeHeader(name);
    const known = isOfNoParser(error) ? unsupportedType(request) : await problemOf(error, request);
    if (!known) request.log.error({ err: error }, 'request failed');
    const unknown = `see the server's log for request ${request.id}`;
    return sendProblem(request, reply, known ?? new EmpError('internal_error', unknown));
  });

  const problemOf = async (error: unknown, request: FastifyRequest) => {
    const known = toEmpError(error);
    if (known && PROBLEMS[known.code].status < 500) return known;
    return (await ofRemovedTenant(request)) ?? known ?? (await ofMissingFile(error, request));
  };

  /** What was under way of a tenant that was deleted fails in whatever way. */
  const ofRemovedTenant = async ({ tenant }: FastifyRequest) => {
    const isRemoved = tenant && (await tenants.isRemoved(tenant).catch(() => false));
    return isRemoved ? removedMeanwhile(tenant.tenant) : null;
  };

  /** A file that is not there, because the data directory was moved away meanwhile, or has lost it. */
  const ofMissingFile = async (error: unknown, request: FastifyRequest) => {
    if (!isCode(error, 'ENOENT')) return null;
    const { store } = await tenants.of(null);
    const ofDirectory = await store.ping().then(() => null, toEmpError);
    if (ofDirectory || !['GET', 'HEAD'].includes(request.method)) return ofDirectory;
    request.log.warn({ err: error }, 'a file is gone');
    return new EmpError('not_found', 'the file is gone from the data directory');
  };

  const refuseUnknown = ({ url, method }: FastifyRequest, reply: FastifyReply): never => {
    const [path = '/'] = url.split('?');
    const methods = routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => route.methods);
    if (methods.length === 0 || methods.includes(method))
      throw new EmpError('not_found', `there is nothing at ${path}: /docs lists what there is`);
    const allowed = [...new Set(methods)].sort().join(', ');
    reply.header('allow', allowed);
    throw new EmpError('method_not_allowed', `${path} takes ${allowed}, not ${method}`);
  };
  // Before the body, for which an unknown path or method has no use, and which may be wrong in other ways.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) refuseUnknown(request, reply);
    done();
  });
  // A route that found nothing itself, as the one for a folder of files does.
  app.setNotFoundHandler(refuseUnknown);
}

/** Fastify's word for a type that nothing reads, or that is none. */
function isOfNoParser(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE';
}

/** Answers with the problem that an error is. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: EmpError): FastifyReply {
  const problem: Problem = {
    ...createProblem(error.code, error.message, request.url.split('?')[0] ?? '/', error.findings),
    request_id: request.id,
  };
  if (problem.status === PROBLEMS.not_ready.status) reply.header('retry-after', '5');
  // A string passes unchanged where an object would meet the route's response schema.
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

/** What is left of a refused body is read and dropped: a client that is still writing then sees the answer, not a reset connection. */
function drain({ raw }: FastifyRequest): void {
  if (!raw.readableEnded && !raw.destroyed) raw.unpipe().resume();
}
