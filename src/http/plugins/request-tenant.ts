import type { App, Services } from '../services.ts';

/** Gives every request what it may work with. After the hooks that say who sent it. */
export function registerTenant(app: App, { tenants }: Pick<Services, 'tenants'>): void {
  app.decorateRequest('tenant', null as never);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config?.scope === 'public') return;
    request.tenant = await tenants.of(request.caller?.tenant ?? null);
  });
}
