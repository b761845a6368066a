import { access, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from './durable-files.ts';
import { FolderStore } from './folder-store.ts';
import type { Store } from './store.ts';
import { rootOf, TENANT_NAME, TENANTS, type Tenant } from './tenant.ts';

/** The stores of all tenants: what one holds, no other sees. */
export interface Stores {
  /** What a child process opens them by. */
  readonly root: string;
  /** The store of a tenant, made when it is first asked for. */
  of(tenant: Tenant): Promise<Store>;
  /** All tenants of whom anything is, or was, stored, null first. */
  list(): Promise<Tenant[]>;
  /** Removes all that a tenant has stored. It disappears at once, its bytes soon after; false where there was nothing. */
  remove(tenant: string): Promise<boolean>;
  close(): Promise<void>;
}

/** As `StoreLimits`, of each tenant. */
export interface StoresLimits {
  readonly minFreeBytes?: number;
  readonly maxBytes?: (tenant: Tenant) => number | null;
}

/** Stores in folders of one data directory. */
export class FolderStores implements Stores {
  readonly root: string;
  readonly #limits: StoresLimits;
  readonly #stores = new Map<Tenant, Promise<FolderStore>>();

  private constructor(root: string, limits: StoresLimits) {
    this.root = root;
    this.#limits = limits;
  }

  /** Opens the data directory, with the store of nobody else. */
  static async open(root: string, limits: StoresLimits = {}): Promise<FolderStores> {
    const stores = new FolderStores(root, limits);
    await stores.of(null);
    return stores;
  }

  async of(tenant: Tenant): Promise<Store> {
    const known = this.#stores.get(tenant);
    if (known) {
      const store = await known;
      // Another process may have removed the tenant, who comes again.
      if (tenant === null || (await isThere(store.root))) return store;
      // Whoever has seen that first opens it anew: of two in one process each would take the other's uploads for those of the dead.
      if (this.#stores.get(tenant) !== known) return await this.of(tenant);
    }
    const opening = this.#open(tenant);
    this.#stores.set(tenant, opening);
    // Another may come when the disk takes writes again.
    opening.catch(() => this.#stores.delete(tenant));
    return await opening;
  }

  async list(): Promise<Tenant[]> {
    const names = await readdir(join(this.root, TENANTS)).catch((error) => {
      if (isCode(error, 'ENOENT')) return [];
      throw error;
    });
    return [null, ...names.filter((name) => TENANT_NAME.test(name)).sort()];
  }

  async remove(tenant: string): Promise<boolean> {
    const own = await (await this.of(null)).createUpload();
    try {
      await rename(rootOf(this.root, tenant), join(own.directory, tenant));
      return true;
    } catch (error) {
      if (isCode(error, 'ENOENT')) return false;
      throw error;
    } finally {
      this.#stores.delete(tenant);
      await own.discard();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stores.values()].map(async (opening) => (await opening).close()));
  }

  async #open(tenant: Tenant): Promise<FolderStore> {
    const directory = rootOf(this.root, tenant);
    // Not before: where the data directory was moved away, it is not made anew for a tenant.
    if (tenant !== null) await mkdirWithin(this.root, TENANTS);
    const { minFreeBytes, maxBytes } = this.#limits;
    return FolderStore.open(directory, {
      ...(minFreeBytes !== undefined && { minFreeBytes }),
      ...(maxBytes && { maxBytes: () => maxBytes(tenant) }),
    });
  }
}

function isThere(directory: string): Promise<boolean> {
  return access(directory).then(
    () => true,
    () => false,
  );
}

async function mkdirWithin(root: string, name: string): Promise<void> {
  await mkdir(join(root, name)).catch((error) => {
    if (!isCode(error, 'EEXIST')) throw error;
  });
}
