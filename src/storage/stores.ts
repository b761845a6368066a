import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, makeFolder } from './durable-files.ts';
import { UPLOADS } from './folder-layout.ts';
import { FolderStore } from './folder-store.ts';
import type { Store } from './store.ts';
import { identityOf, removedMeanwhile, requireFolders } from './store-place.ts';
import { rootOf, TENANT_NAME, TENANTS, type Tenant } from './tenant.ts';
import { ownUploadsName } from './uploads.ts';

/** The stores of all tenants: what one holds, no other sees. */
export interface Stores {
  /** What a child process opens them by. */
  readonly root: string;
  /** The store of a tenant, made when it is first asked for. @throws EmpError conflict where the tenant is removed at that moment */
  of(tenant: Tenant): Promise<Store>;
  /** The store of a tenant that is there; null where it was removed, or never was. It is the same until then. @throws EmpError not_ready where nobody knows */
  find(tenant: Tenant): Promise<Store | null>;
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

interface OpenedStore {
  /** Of the folder that it was opened for. */
  readonly identity: string;
  readonly store: Promise<FolderStore>;
}

/** Stores in folders of one data directory. */
export class FolderStores implements Stores {
  readonly root: string;
  readonly #limits: StoresLimits;
  /** Of all its stores: of two in one place, one opened before the tenant was removed, none takes the other's uploads for those of the dead. */
  readonly #ownName = ownUploadsName();
  readonly #opened = new Map<Tenant, OpenedStore>();

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
    if (tenant !== null && (await this.#identityOf(tenant)) === null) {
      // One after the other: where the data directory was moved away, it is not made anew for a tenant.
      await makeFolder(join(this.root, TENANTS));
      await makeFolder(rootOf(this.root, tenant));
    }
    const store = await this.find(tenant);
    if (store) return store;
    throw removedMeanwhile(tenant);
  }

  async find(tenant: Tenant): Promise<Store | null> {
    const identity = await this.#identityOf(tenant);
    try {
      if (identity !== null) return await this.#open(tenant, identity);
    } catch (error) {
      // Unless it was removed while it was opened.
      if ((await this.#identityOf(tenant)) === identity) throw error;
    }
    await requireFolders({ dataDirectory: this.root, tenant: null }, [UPLOADS]);
    return null;
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
      this.#opened.delete(tenant);
      await own.discard();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(async ({ store }) => (await store).close()));
  }

  /** However many ask for it first. It is opened anew where a tenant was removed, by another process too, and came again. */
  #open(tenant: Tenant, identity: string): Promise<FolderStore> {
    const known = this.#opened.get(tenant);
    if (known?.identity === identity) return known.store;
    const { minFreeBytes, maxBytes } = this.#limits;
    const store = FolderStore.open(this.root, {
      ...{ tenant, ownName: this.#ownName },
      ...(minFreeBytes !== undefined && { minFreeBytes }),
      ...(maxBytes && { maxBytes: () => maxBytes(tenant) }),
    });
    this.#opened.set(tenant, { identity, store });
    // Another may come when the disk takes writes again.
    store.catch(() => this.#opened.delete(tenant));
    return store;
  }

  /** As `identityOf`: what belongs to no tenant is not removed. */
  async #identityOf(tenant: Tenant): Promise<string | null> {
    return tenant === null ? '' : await identityOf(rootOf(this.root, tenant));
  }
}
