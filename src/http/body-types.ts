import { MIMEType } from 'node:util';
import type { FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';
import { codingOf } from './body.ts';
import { DETAILS_KEY, FORM_TYPE, type OperationDetails } from './plugins/operations.ts';
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
  return unsupported('Content-Type', `is ${given}`, message);
}

function checkBodyHead(request: FastifyRequest, types: readonly string[]): void {
  const { mediaType = '', headers } = request;
  if (!types.includes(mediaType)) throw unsupportedType(request);
  const charset = charsetOf(headers['content-type']);
  if (mediaType === 'application/json' && !['utf-8', 'utf8', 'us-ascii'].includes(charset))
    throw unsupported('Content-Type', `names the charset ${charset}`, 'must name no charset but utf-8');
  // What it may be otherwise is for the reader of the body to say.
  const coding = codingOf(headers);
  if (mediaType === FORM_TYPE && coding !== 'identity')
    throw unsupported('Content-Encoding', `is ${coding}`, 'must be identity for a form');
}

function charsetOf(contentType = ''): string {
  try {
    return new MIMEType(contentType).params.get('charset')?.toLowerCase() ?? 'utf-8';
  } catch {
    return 'utf-8';
  }
}

function unsupported(header: string, found: string, message: string): EmpError {
  return new EmpError('unsupported_media_type', `${header} ${found}; it ${message}`, [
    { path: header, message },
  ]);
}

/**
 * Refuses a body that is not of the types its route takes, or not in UTF-8, by its head: parsers are registered for types, not for routes. What comes to a route that
 * takes no body is passed over: clients are generated that always name a type.
 */
export function registerBodyTypes(app: App): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const types = bodyTypesOf(request);
    if (types.length > 0) checkBodyHead(request, types);
    done();
  });
  app.addContentTypeParser('*', async () => {});
}
