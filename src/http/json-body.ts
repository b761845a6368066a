import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';
import { type BodyRules, readBody } from './body.ts';
import { bodyTypesOf } from './body-types.ts';
import { type JsonBounds, parseBoundedJson } from './json-bounds.ts';
import type { App } from './services.ts';

/** JSON bodies other than scores: a recipe with all the globs it may have. Too small to be counted against the memory for bodies. */
const BODY_RULES: BodyRules = {
  limit: 1024 * 1024,
  advice: 'no request in JSON needs more',
  cost: 1,
  hold: { grow: () => {} },
};

/** A recipe with all the globs it may have, escaped to the last character, and metadata. */
export const REQUEST_BOUNDS: JsonBounds = {
  depth: 16,
  keys: 1000,
  keyBytes: 1024,
  stringBytes: 4096,
  numbers: 1000,
  others: 1000,
  // A schema of named strings would drop it without a word.
  refusedKeys: ['__proto__'],
};

/** JSON bodies are counted before they are parsed. */
export function registerJsonBodies(app: App): void {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    if (bodyTypesOf(request).length === 0) return undefined;
    const body = await readBody(payload, request.headers, BODY_RULES);
    if (body.byteLength === 0) throw new EmpError('malformed_body', 'the request has no body');
    return parseBoundedJson(body, REQUEST_BOUNDS, 'the body');
  });
}
