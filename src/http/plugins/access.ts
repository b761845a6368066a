import type { Keys } from '../../access/api-keys.ts';
import type { Caller, Scope } from '../../access/caller.ts';
import { EmpError } from '../../core/errors.ts';
import type { App } from '../services.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key has to allow for this route; `public` ones need none. */
    scope?: Scope | 'public';
  }
  interface FastifyRequest {
    /** Whose key it came with: null of public routes, and where the service has no keys. */
    caller: Caller | null;
  }
}

/** The documentation's pages are routes of a plugin, which says no scope. */
const DOCUMENTATION = /^\/docs(\/|$)/;

/**
 * Asks for a key, by the scope of each route, and leaves at the request whose it is. A route without one cannot be registered.
 * @param keys null lets everyone
 */
export function registerAccess(app: App, keys: Keys | null): void {
  app.addHook('onRoute', (route) => {
    if (DOCUMENTATION.test(route.url)) route.config = { ...route.config, scope: 'public' };
    if (route.config?.scope === undefined)
      throw new Error(`${route.method} ${route.url} does not say by which scope it may be used`);
  });
  app.decorateRequest('caller', null);
  app.addHook('onRequest', (request, reply, done) => {
    // Where there is nothing, nothing is hidden.
    const { scope = 'public' } = request.routeOptions.config ?? {};
    if (keys === null || scope === 'public') return done();
    const given = bearerOf(request.headers.authorization);
    const caller = given === null ? null : keys.find(given);
    if (caller === null) {
      reply.header('www-authenticate', challenge(given === null ? {} : { error: 'invalid_token' }));
      throw new EmpError('unauthorized', given === null ? NO_KEY : WRONG_KEY);
    }
    request.caller = caller;
    request.log = request.log.child({ key: caller.name, tenant: caller.tenant });
    if (!caller.scopes.includes(scope)) {
      reply.header('www-authenticate', challenge({ error: 'insufficient_scope', scope }));
      throw new EmpError(
        'forbidden',
        `key ${caller.name} allows ${caller.scopes.join(', ')}, and this needs ${scope}`,
      );
    }
    done();
  });
}

const NO_KEY = 'this needs a key: send it as `Authorization: Bearer KEY`';
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

/** What OpenAPI says of a scope: a service without keys asks for none. */
export function securityOf(scope: Scope | 'public' | undefined): Record<string, string[]>[] {
  return scope === undefined || scope === 'public' ? [] : [{ [SECURITY_SCHEME]: [scope] }, {}];
}

export const SECURITY_SCHEME = 'ApiKey';
