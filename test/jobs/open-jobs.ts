import type { JobQueues } from '../../src/jobs/job-queues.ts';
import type { Jobs } from '../../src/jobs/job-service.ts';
import { openTenants, type Tenants } from '../../src/jobs/tenants.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Stores } from '../../src/storage/stores.ts';

/** Of a service without tenants. */
export function onlyStore(store: Store): Stores {
  const of = async (tenant: string | null) => {
    if (tenant !== null) throw new Error(`this test has no tenant ${tenant}`);
    return store;
  };
  return {
    root: store.root,
    of,
    find: of,
    list: async () => [null],
    remove: async () => false,
    close: () => store.close(),
  };
}

/** What `request` asks for, as far as jobs look at it: that it is there. */
export async function publishModel(store: Store, id = 'mdl_0000000000'): Promise<void> {
  const upload = await store.createUpload();
  await store.publish('models', upload, { id, created_at: new Date().toISOString() });
}

/** Its jobs, with what looks after all jobs. */
export type OpenJobs = Jobs &
  Pick<Tenants, 'recover' | 'keepRecovering' | 'close'> &
  Pick<JobQueues, 'ping' | 'counts'>;

export async function openJobs({
  store,
  ...options
}: { readonly store: Store } & Omit<Parameters<typeof openTenants>[0], 'stores'>): Promise<OpenJobs> {
  await publishModel(store);
  const tenants = await openTenants({ stores: onlyStore(store), ...options });
  const { jobs } = await tenants.of(null);
  return Object.assign(jobs, {
    ping: () => tenants.queues.ping(),
    counts: () => tenants.queues.counts(),
    recover: () => tenants.recover(),
    keepRecovering: (intervalMs?: number) => tenants.keepRecovering(intervalMs),
    close: () => tenants.close(),
  });
}
