import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Store } from '../../src/storage/store.ts';

/** Has a store tell, from now on, which files each upload had when it was discarded: for one that was published, none is told. */
export function watchDiscards(store: Store): readonly (readonly string[])[] {
  const seen: string[][] = [];
  const create = store.createUpload.bind(store);
  store.createUpload = async () => {
    const upload = await create();
    const discard = async () => {
      const entries = await readdir(upload.files, { recursive: true, withFileTypes: true }).catch(() => null);
      if (entries) seen.push(entries.filter((entry: Dirent) => entry.isFile()).map(({ name }) => name));
      await upload.discard();
    };
    return { ...upload, discard };
  };
  return seen;
}
