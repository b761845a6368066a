import type { FastifyReply } from 'fastify';
import { isKey } from '../../access/api-keys.ts';
import type { Caller, Callers, Scope } from '../../access/caller.ts';
import { EmpError } from '../../core/errors.ts';
import type { App } from '../services.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key or token has to allow for this route; `public` ones need none. */
    scope?: Scope | 'public';
  }
  interface FastifyRequest {
    /** Whose key or token it came with: null of public routes, and where the service asks for none. */
    caller: Caller | null;
  }
}

/** The documentation's pages are routes of a plugin, which says no scope. */
const DOCUMENTATION = /^\/docs(\/|$)/;

/**
 * Asks for a key or a token where the scope of a route needs one, and leaves at the request whose it is. A route without a scope cannot be registered.
 * @param callers null lets everyone
 */
export function registerAccess(app: App, callers: Callers | null): void {
  app.addHook('onRoute', (route) => {
    if (DOCUMENTATION.test(route.url)) route.config = { ...route.config, scope: 'public' };
    if (route.config?.scope === undefined)
      throw new Error(`${route.method} ${route.url} does not say by which scope it may be used`);
  });
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request, reply) => {
    // Where there is nothing, nothing is hidden.
    const { scope = 'public' } = request.routeOptions.config ?? {};
    if (callers === null || scope === 'public') return;
    const given = bearerOf(request.headers.authorization);
    if (given === null) {
      reply.header('www-authenticate', challenge({}));
      throw new EmpError('unauthorized', NO_KEY);
    }
    const caller = await identify(callers, given, reply);
    const { name, tenant } = caller;
    request.caller = caller;
    request.log = request.log.child({ [isKey(given) ? 'key' : 'subject']: name, tenant });
  });
}

/** Refuses what a key or token does not allow. After the hook that counts its requests, as those that are refused count too. */
export function registerScopes(app: App): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { caller } = request;
    const { scope = 'public' } = request.routeOptions.config ?? {};
    if (caller === null || scope === 'public' || caller.scopes.includes(scope)) return done();
    reply.header('www-authenticate', challenge({ error: 'insufficient_scope', scope }));
    const kind = isKey(bearerOf(request.headers.authorization) ?? '') ? 'key' : 'token';
    const allowed = caller.scopes.join(', ');
    throw new EmpError('forbidden', `${kind} ${caller.name} allows ${allowed}, and this needs ${scope}`);
  });
}

/** @throws EmpError for what is nobody's, with the header that goes with it */
async function identify(callers: Callers, given: string, reply: FastifyReply): Promise<Caller> {
  try {
    const caller = await callers.find(given);
    if (caller !== null) return caller;
    throw new EmpError('unauthorized', WRONG_KEY);
  } catch (error) {
    if (error instanceof EmpError && error.code === 'unauthorized')
      reply.header('www-authenticate', challenge({ error: 'invalid_token' }));
    throw error;
  }
}

const NO_KEY = 'this needs a key or a token: send it as `Authorization: Bearer KEY`';
const WRONG_KEY = 'this key is not one of the service: it may have been removed';

/** RFC 6750, 2.1. Null where no key was sent. */
function bearerOf(authorization: string | undefined): string | null {
  return /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? null;
}

/** RFC 6750, 3. */
function challenge(parameters: Readonly<Record<string, string>>): string {
  const all = Object.entries({ realm: 'emp', ...parameters });
  return `Bearer ${all.map(([name, value]) => `${name}="${value}"`).join(', ')}`;
}

/** What OpenAPI says of a scope: a service without keys or tokens asks for none. */
export function securityOf(scope: Scope | 'public' | undefined): Record<string, string[]>[] {
  return scope === undefined || scope === 'public' ? [] : [{ [SECURITY_SCHEME]: [scope] }, {}];
}

export const SECURITY_SCHEME = 'ApiKey';
