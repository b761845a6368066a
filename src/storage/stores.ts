import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from './durable-files.ts';
import { FolderStore } from './folder-store.ts';
import type { Store } from './store.ts';

/** Whose something is: the name of a tenant; null where a service has none, or it is the service's own. */
export type Tenant = string | null;

/** Names of tenants are names of folders, in lower case: some file systems tell no others apart. */
export const TENANT_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The stores of all tenants: what one holds, no other sees. */
export interface Stores {
  /** What a child process opens them by. */
  readonly root: string;
  /** The store of a tenant, made when it is first asked for. */
  of(tenant: Tenant): Promise<Store>;
  /** All tenants of whom anything is, or was, stored, null first. */
  list(): Promise<Tenant[]>;
  close(): Promise<void>;
}

/** `tenants/<name>/` is a data directory of its own, within that of the service. */
const TENANTS = 'tenants';

/** Where the store of a tenant lies. @throws TypeError for what is no name: it would lead elsewhere */
export function rootOf(root: string, tenant: Tenant): string {
  if (tenant === null) return root;
  if (!TENANT_NAME.test(tenant)) throw new TypeError(`${JSON.stringify(tenant)} is no name of a tenant`);
  return join(root, TENANTS, tenant);
}

/** Stores in folders of one data directory. */
export class FolderStores implements Stores {
  readonly root: string;
  readonly #minFreeBytes: number;
  readonly #stores = new Map<Tenant, Promise<FolderStore>>();

  private constructor(root: string, minFreeBytes: number) {
    this.root = root;
    this.#minFreeBytes = minFreeBytes;
  }

  /** Opens the data directory, with the store of nobody else. @param minFreeBytes as `FolderStore.open` */
  static async open(root: string, minFreeBytes = 0): Promise<FolderStores> {
    const stores = new FolderStores(root, minFreeBytes);
    await stores.of(null);
    return stores;
  }

  of(tenant: Tenant): Promise<Store> {
    const known = this.#stores.get(tenant);
    if (known) return known;
    const opening = this.#open(tenant);
    this.#stores.set(tenant, opening);
    // Another may come when the disk takes writes again.
    opening.catch(() => this.#stores.delete(tenant));
    return opening;
  }

  async list(): Promise<Tenant[]> {
    const names = await readdir(join(this.root, TENANTS)).catch((error) => {
      if (isCode(error, 'ENOENT')) return [];
      throw error;
    });
    return [null, ...names.filter((name) => TENANT_NAME.test(name)).sort()];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stores.values()].map(async (opening) => (await opening).close()));
  }

  async #open(tenant: Tenant): Promise<FolderStore> {
    const directory = rootOf(this.root, tenant);
    // Not before: where the data directory was moved away, it is not made anew for a tenant.
    if (tenant !== null) await mkdirWithin(this.root, TENANTS);
    return FolderStore.open(directory, this.#minFreeBytes);
  }
}

async function mkdirWithin(root: string, name: string): Promise<void> {
  await mkdir(join(root, name)).catch((error) => {
    if (!isCode(error, 'EEXIST')) throw error;
  });
}
