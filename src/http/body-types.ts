import type { FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';
import { DETAILS_KEY, type OperationDetails } from './plugins/operations.ts';
import type { App } from './services.ts';

/** The media types of bodies that the route of a request takes, by its documentation; none where it takes no body. */
export function bodyTypesOf({ routeOptions: { schema } }: Pick<FastifyRequest, 'routeOptions'>): string[] {
  const details = (schema as { [DETAILS_KEY]?: OperationDetails } | undefined)?.[DETAILS_KEY];
  return Object.keys(details?.requestBody?.content ?? {});
}

/** A body that is not of the types its route takes. */
export function unsupportedType(request: FastifyRequest): EmpError {
  const types = bodyTypesOf(request);
  const given = request.headers['content-type'] ?? 'missing';
  const message = types.length > 0 ? `must be ${types.join(' or ')}` : 'cannot be read';
  return new EmpError('unsupported_media_type', `Content-Type is ${given}; it ${message}`, [
    { path: 'Content-Type', message },
  ]);
}

/**
 * Refuses a body that is not of the types its route takes, by its head: parsers are registered for types, not for routes. What comes to a route that
 * takes no body is passed over: clients are generated that always name a type.
 */
export function registerBodyTypes(app: App): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const types = bodyTypesOf(request);
    if (types.length > 0 && !types.includes(request.mediaType ?? '')) throw unsupportedType(request);
    done();
  });
  app.addContentTypeParser('*', async () => {});
}
