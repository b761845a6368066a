import { join } from 'node:path';
import type { Kind, Question } from './store.ts';

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
/** One file a secret of the tenant, for the owner of the data directory alone. */
export const SECRETS = 'secrets';
/** A folder a process, for what it has not published. */
export const UPLOADS = 'uploads';
/** `index/<kind>` as a `TimeIndex`, `index/unfinished/<id>` an empty file a job or search, `index/untold/<id>` one for whom somebody is to be told of, `index/needed` as a `NeededIndex`, `index/bytes` as a `BytesIndex`. */
export const INDEX = 'index';
export const UNFINISHED = join(INDEX, 'unfinished');
export const UNTOLD = join(INDEX, 'untold');
export const NEEDED = join(INDEX, 'needed');
/** A `BytesIndex`. */
export const BYTES = join(INDEX, 'bytes');

/** All folders that a data directory has from its opening on. */
export const FOLDERS: readonly string[] = [
  UPLOADS,
  IDEMPOTENCY,
  SECRETS,
  UNFINISHED,
  UNTOLD,
  NEEDED,
  BYTES,
  ...KINDS,
  ...KINDS.map((kind) => join(INDEX, kind)),
];

/** The file of an answer: a document of a resource, or one in the folder of its kind. */
export function answerPath(question: Question): string {
  const { kind, id } = question;
  return 'name' in question ? join(kind, id, question.name) : join(kind, id);
}
