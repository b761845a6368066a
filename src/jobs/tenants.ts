// Over 250 lines: what all tenants share, and who looks after each in turn.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { NO_QUOTAS, type Quotas } from '../access/quotas.ts';
import { EmpError } from '../core/errors.ts';
import { KEEP_ALL, limitsAnything, type Retention } from '../storage/retention-terms.ts';
import type { Store } from '../storage/store.ts';
import type { Stores } from '../storage/stores.ts';
import type { Tenant } from '../storage/tenant.ts';
import { Destinations } from '../webhooks/destinations.ts';
import type { Backend } from './backends/backend.ts';
import type { Retry } from './job-line.ts';
import { type JobEnded, JobQueues } from './job-queues.ts';
import { Jobs } from './job-service.ts';
import { openLaneQueues } from './lane-queues.ts';
import { settleFailedJobs } from './recovery.ts';
import { retentionMessage } from './retention-message.ts';
import { isSearchId } from './search-lines.ts';
import { SearchReader } from './search-reader.ts';
import { Searches } from './search-service.ts';
import { TenantQuota } from './tenant-quota.ts';
import { type DeliveryQueue, NO_DELIVERIES, openDeliveryQueue } from './webhooks/delivery-queue.ts';
import { Webhooks } from './webhooks/webhook-service.ts';

/** How long a job that the queue has forgotten, and nobody asks for, may wait for it; one held up by a clock set back twice as long. */
const RECOVERY_MS = 20_000;
/** How soon a search that another process has begun, and left, is taken up. */
const TAKE_UP_MS = 10_000;
/** How soon the end of a search's jobs is seen. */
const LOOK_MS = 300;
/** Many are looked at less often, so that all looks together cost little. */
const MS_A_SEARCH = 50;
/** How often what is old is looked for. */
const EXPIRING_MS = 3600 * 1000;
/** Hanging up on a server that answers takes milliseconds. */
const CLOSE_MS = 2000;
const DEFAULT_RETRY = { attempts: 3, backoffMs: 1000 };

/** What there is of a tenant, and of nobody else. */
export interface TenantServices {
  readonly tenant: Tenant;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly searches: Searches;
  readonly quota: TenantQuota;
  readonly webhooks: Webhooks;
}

/** How webhooks are sent. */
export interface WebhookSettings {
  readonly destinations: Destinations;
  /** Pauses between attempts. */
  readonly delaysMs?: readonly number[];
}

interface TenantsOptions {
  readonly stores: Stores;
  readonly queues: JobQueues;
  readonly log: Logger;
  readonly quotas?: Quotas | undefined;
  readonly retention?: Retention | undefined;
  readonly deliveries?: DeliveryQueue;
  readonly webhooks?: WebhookSettings | undefined;
}

/** Opens what all tenants share on a backend. */
export async function openTenants(options: {
  readonly stores: Stores;
  readonly backend: Backend;
  readonly log: Logger;
  readonly retry?: Retry;
  readonly maxQueued?: number;
  readonly jobEnded?: JobEnded;
  readonly quotas?: Quotas | undefined;
  readonly retention?: Retention | undefined;
  readonly webhooks?: WebhookSettings | undefined;
}): Promise<Tenants> {
  const { stores, backend, log, retry = DEFAULT_RETRY, maxQueued, jobEnded, ...rest } = options;
  const lanes = await openLaneQueues(backend, log, retry);
  const queues = new JobQueues({ lanes, backend, log, maxQueued, jobEnded });
  const deliveries = await openDeliveryQueue(backend, log);
  const { quotas, retention, webhooks } = rest;
  const tenants = new Tenants({ stores, queues, log, quotas, retention, deliveries, webhooks });
  backend.onReturn?.(() => {
    tenants.recover().catch((error) => log.warn({ err: error }, 'recovery'));
  });
  return tenants;
}

/** All tenants, each opened when it is first asked for. They share the queue, and who looks after what is left undone. */
export class Tenants {
  readonly queues: JobQueues;
  /** For how long what is stored is kept. */
  readonly retention: Retention;
  readonly #stores: Stores;
  readonly #log: Logger;
  readonly #quotas: Quotas;
  readonly #deliveries: DeliveryQueue;
  readonly #webhooks: WebhookSettings;
  readonly #opened = new Map<Tenant, TenantServices>();
  readonly #closing = new AbortController();
  #keeping: Promise<unknown> = Promise.resolve();

  constructor(options: TenantsOptions) {
    const { stores, queues, log, quotas = NO_QUOTAS, retention = KEEP_ALL } = options;
    this.#deliveries = options.deliveries ?? NO_DELIVERIES;
    this.#webhooks = options.webhooks ?? { destinations: new Destinations() };
    this.#stores = stores;
    this.queues = queues;
    this.#log = log;
    this.#quotas = quotas;
    this.retention = retention;
    queues.lanes.onEnded(() => this.#goOn());
  }

  async of(tenant: Tenant): Promise<TenantServices> {
    return this.#servicesOn(await this.#stores.of(tenant), tenant);
  }

  /** Does something with what a tenant has; null where it is not there, or is deleted meanwhile. */
  async ifThere<T>(tenant: Tenant, act: (one: TenantServices) => Promise<T>): Promise<T | null> {
    const store = await this.#stores.find(tenant);
    if (!store) return null;
    const one = this.#servicesOn(store, tenant);
    try {
      return await act(one);
    } catch (error) {
      if (await this.isRemoved(one)) return null;
      throw error;
    }
  }

  /** Whether a tenant has been deleted since this was given, and may have come again. */
  async isRemoved({ tenant, store }: Pick<TenantServices, 'tenant' | 'store'>): Promise<boolean> {
    return (await this.#stores.find(tenant)) !== store;
  }

  /** What the files of all tenants take, in bytes. */
  async usedBytes(): Promise<number> {
    const tenants = await this.#stores.list();
    const used = await Promise.all(
      tenants.map((tenant) => this.ifThere(tenant, ({ store }) => store.usedBytes())),
    );
    return used.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  }

  /** Ends what a tenant has going on, and removes all that it has stored; false where there is no such tenant. Its keys are not these' to take away. */
  async remove(tenant: string): Promise<boolean> {
    if (!(await this.#stores.list()).includes(tenant)) return false;
    const ended = await this.ifThere(tenant, async ({ store, jobs, searches }) => {
      const unfinished = await store.listUnfinished();
      for (const id of unfinished.filter(isSearchId)) await searches.cancel(id);
      await Promise.all(unfinished.filter((id) => !isSearchId(id)).map((id) => jobs.cancel(id)));
      return true;
    });
    // Another may have been faster.
    if (ended === null) return false;
    this.#opened.delete(tenant);
    return await this.#stores.remove(tenant);
  }

  /** Those of whom anything is stored. */
  async names(): Promise<string[]> {
    return (await this.#stores.list()).filter((tenant) => tenant !== null);
  }

  /** Tells of a job of a tenant that has ended; what is missed is found by `recover`. */
  announce(id: string, tenant: Tenant): void {
    const announced = this.ifThere(tenant, async ({ webhooks }) => webhooks.announce(id));
    announced.catch((error) => this.#log.warn({ err: error, id }, 'webhooks are told of later'));
  }

  /** Queues again what the queue has lost, of all tenants, and settles what it has given up. @throws EmpError not_ready */
  async recover(): Promise<void> {
    const { lines } = this.queues.lanes;
    const failures = await this.#tryEach(({ jobs }) => jobs.queueLost());
    await lines.endOverduePauses();
    await settleFailedJobs(this.#stores, lines, undefined, () => this.queues.jobEnded('failed'));
    failures.push(...(await this.#tryEach(({ webhooks }) => webhooks.queueLost())));
    if (failures.length > 0) throw failures[0];
  }

  /** Recovers jobs, at once and again and again, until this is closed. */
  keepRecovering(intervalMs: number = RECOVERY_MS): void {
    this.#keep('recovery', async () => {
      await this.recover();
      return intervalMs;
    });
  }

  /** Has what each tenant has kept for as long as it is to be removed, once in an interval, until this is closed. Of several processes one does it. */
  keepExpiring(intervalMs: number = EXPIRING_MS): void {
    if (!limitsAnything(this.retention)) return;
    this.#keep('retention', async () => {
      const now = Date.now();
      const nth = Math.floor(now / intervalMs);
      for (const tenant of await this.#stores.list())
        await this.queues.lanes.send(retentionMessage(tenant, this.retention, nth, intervalMs));
      return (nth + 1) * intervalMs - now;
    });
  }

  /** Goes on with all searches, those of processes that are gone too, until this is closed. */
  keepConducting(lookMs: number = LOOK_MS): void {
    let lookedAt = Number.NEGATIVE_INFINITY;
    this.#keep('searches', async () => {
      const isDue = performance.now() - lookedAt > TAKE_UP_MS;
      if (isDue) lookedAt = performance.now();
      let goingOn = 0;
      const goOn = async ({ searches }: TenantServices) => {
        if (isDue) await searches.takeUp();
        goingOn += await searches.advanceAll();
      };
      const failures = await this.#tryEach(goOn, (tenant) => isDue || this.#hasSearches(tenant));
      if (failures.length > 0) throw failures[0];
      return lookMs + MS_A_SEARCH * goingOn;
    });
  }

  async close(): Promise<void> {
    // BullMQ waits for ever for the end of a connection that is about to be tried again.
    const closed = new AbortController();
    this.#closing.abort();
    const closing = this.#keeping.then(() =>
      Promise.all([this.queues.lanes.close(), this.#deliveries.close()]),
    );
    const patience = sleep(CLOSE_MS, undefined, { signal: closed.signal }).catch(() => {});
    await Promise.race([closing, patience]).finally(() => closed.abort());
  }

  /** A store is another where its tenant was deleted, and came again. */
  #servicesOn(store: Store, tenant: Tenant): TenantServices {
    const known = this.#opened.get(tenant);
    if (known?.store === store) return known;
    const services = this.#open(store, tenant);
    this.#opened.set(tenant, services);
    return services;
  }

  #open(store: Store, tenant: Tenant): TenantServices {
    const [queues, log] = [this.queues, this.#log];
    const { lines } = queues.lanes;
    const quota = new TenantQuota({ store, lines, quota: () => this.#quotas.of(tenant) });
    // Made last: they ask how the jobs of a search stand.
    const onEnded = (id: string) => webhooks.announce(id);
    const jobs = new Jobs({ tenant, store, queues, quota, log, onEnded });
    const searches = new Searches({ store, jobs, queues, quota, log, onNews: onEnded });
    const webhooks: Webhooks = new Webhooks({
      ...{ tenant, store, log, queue: this.#deliveries, ...this.#webhooks },
      states: (record) => new SearchReader(store, jobs).states(record),
    });
    return { tenant, store, jobs, searches, quota, webhooks };
  }

  /** What failed: where the store of one tenant does, the others are looked after all the same. @throws EmpError not_ready */
  async #tryEach(
    act: (one: TenantServices) => Promise<unknown>,
    isWanted: (tenant: Tenant) => boolean = () => true,
  ): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const tenant of (await this.#stores.list()).filter(isWanted)) {
      try {
        await this.ifThere(tenant, act);
      } catch (error) {
        if (error instanceof EmpError && error.code === 'not_ready') throw error;
        failures.push(error);
      }
    }
    return failures;
  }

  /** Lets jobs in that were held back until another has ended. */
  async #goOn(): Promise<void> {
    for (const { quota } of [...this.#opened.values()])
      await quota.goOn().catch((error) => this.#log.warn({ err: error }, 'jobs are held back'));
  }

  #hasSearches(tenant: Tenant): boolean {
    return (this.#opened.get(tenant)?.searches.goingOn.size ?? 0) > 0;
  }

  /** @param act resolves to the milliseconds until it is to be done again */
  #keep(name: string, act: () => Promise<number>): void {
    const { signal } = this.#closing;
    const keep = async () => {
      while (!signal.aborted) {
        const pauseMs = await act().catch((error) => {
          this.#log.warn({ err: error }, name);
          return LOOK_MS;
        });
        await sleep(pauseMs, undefined, { signal }).catch(() => {});
      }
    };
    this.#keeping = Promise.all([this.#keeping, keep()]);
  }
}
