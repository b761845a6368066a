import { join } from 'node:path';
import type { Kind } from './store.ts';

/** `<kind>/<id>/`: the record, other documents, and in a folder the files; of a job, what it made. */
export const FILES: Readonly<Record<Kind, string>> = {
  models: 'files',
  datasets: 'files',
  jobs: 'artifacts',
  searches: 'files',
};
export const KINDS = Object.keys(FILES) as Kind[];
export const RECORD = 'record.json';

/** One file a key, holding the id of its job. */
export const IDEMPOTENCY = 'idempotency';
/** A folder a process, for what it has not published. */
export const UPLOADS = 'uploads';
/** `index/<kind>` as a `TimeIndex`, `index/unfinished/<id>` an empty file a job or search, `index/needed` as a `NeededIndex`, `index/bytes` as a `BytesIndex`. */
export const INDEX = 'index';
export const UNFINISHED = join(INDEX, 'unfinished');
export const NEEDED = join(INDEX, 'needed');
/** A `BytesIndex`. */
export const BYTES = join(INDEX, 'bytes');

/** All folders that a data directory has from its opening on. */
export const FOLDERS: readonly string[] = [
  UPLOADS,
  IDEMPOTENCY,
  UNFINISHED,
  NEEDED,
  BYTES,
  ...KINDS,
  ...KINDS.map((kind) => join(INDEX, kind)),
];
