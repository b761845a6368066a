import type { FastifyReply, FastifyRequest } from 'fastify';
import { EmpError } from '../../core/errors.ts';
import { createProblem, PROBLEMS, type Problem, toEmpError } from '../problem.ts';
import type { App } from '../services.ts';

/** Every failed request ends as `application/problem+json`: thrown errors, unknown paths, wrong methods. */
export function registerProblems(app: App): void {
  const routes: { readonly pattern: RegExp; readonly methods: Set<string> }[] = [];

  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/:\w+/g, '[^/]+').replaceAll('*', '.*')}$`);
    const known = routes.find((route) => route.pattern.source === pattern.source);
    const route = known ?? { pattern, methods: new Set<string>() };
    if (!known) routes.push(route);
    for (const name of [method].flat()) route.methods.add(name);
  });

  app.setErrorHandler((error, request, reply) => {
    drain(request);
    const known = toEmpError(error);
    if (known) return sendProblem(request, reply, known);
    request.log.error({ err: error }, 'request failed');
    return sendProblem(
      request,
      reply,
      new EmpError('internal_error', `see the server's log for request ${request.id}`),
    );
  });

  app.setNotFoundHandler((request, reply) => {
    drain(request);
    const [path = '/'] = request.url.split('?');
    const methods = routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => [...route.methods]);
    // A route that takes the method found nothing itself, as the one for a folder of files does.
    if (methods.length === 0 || methods.includes(request.method))
      return sendProblem(request, reply, new EmpError('not_found', `there is nothing at ${path}`));
    const allowed = [...new Set(methods)].sort().join(', ');
    reply.header('allow', allowed);
    return sendProblem(
      request,
      reply,
      new EmpError('method_not_allowed', `${path} takes ${allowed}, not ${request.method}`),
    );
  });
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
