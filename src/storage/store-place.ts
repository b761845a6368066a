import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { isCode } from './durable-files.ts';
import { INDEX, UPLOADS } from './folder-layout.ts';
import { rootOf, type Tenant } from './tenant.ts';

/** Where a store lies. */
export interface StorePlace {
  /** Of the service. */
  readonly dataDirectory: string;
  readonly tenant: Tenant;
}

/** @throws EmpError not_ready where the store lacks one of the folders that it had when it was opened, conflict where its tenant was deleted */
export async function requireFolders(place: StorePlace, folders: readonly string[]): Promise<void> {
  const root = rootOf(place.dataDirectory, place.tenant);
  for (const folder of folders) {
    try {
      await access(join(root, folder));
    } catch (error) {
      if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error;
      if (await isRemoved(place)) throw removedMeanwhile(place.tenant);
      const mend = folder.startsWith(INDEX) ? ', or start the service anew, which makes an index' : '';
      throw new EmpError(
        'not_ready',
        `the data directory is gone, or has lost its folder ${folder}: put it back where it was${mend}`,
      );
    }
  }
}

/** Whether a tenant has no folder in a data directory that is there. @throws EmpError not_ready where that is gone: nobody knows */
export async function isRemoved({ dataDirectory, tenant }: StorePlace): Promise<boolean> {
  if (tenant === null || (await identityOf(rootOf(dataDirectory, tenant))) !== null) return false;
  await requireFolders({ dataDirectory, tenant: null }, [UPLOADS]);
  return true;
}

/** What a request is told whose tenant was deleted while it went on. */
export function removedMeanwhile(tenant: Tenant): EmpError {
  return new EmpError('conflict', `the tenant ${tenant} was deleted meanwhile, with all that it had stored`);
}

/** Tells a folder from one that takes its path later; null where there is none. */
export async function identityOf(path: string): Promise<string | null> {
  try {
    const { ino, birthtimeNs } = await stat(path, { bigint: true });
    return `${ino} ${birthtimeNs}`;
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}
