import type { FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';

/** A part of a path may be an artifact, named like a file of a model, folders and escapes included. */
export const MAX_PARAM_LENGTH = 4096;

/** What is wrong with the target of a request for which Fastify looks up no route: a target that it cannot read, or one with a part too long for any. */
export function unroutable(
  { code }: { readonly code: string },
  { url }: Pick<FastifyRequest, 'url'>,
): EmpError {
  const [path = ''] = url.split('?');
  if (code === 'FST_ERR_MAX_PARAM_LENGTH')
    return new EmpError(
      'not_found',
      `there is nothing at ${path}: no part of a path here has more than ${MAX_PARAM_LENGTH} characters`,
    );
  if (!path.startsWith('/') && !URL.canParse(path))
    return new EmpError('malformed_request', `the target ${path} is neither a path nor a URL with a host`);
  const rule = 'two hexadecimal digits follow every %, and the bytes are UTF-8';
  return new EmpError('malformed_request', `the path ${path} cannot be decoded: ${rule}`);
}
