import type { StoredFile } from '../storage/records.ts';

/** Where the files of a part go. */
export interface FileRule {
  readonly directory: string;
  /** They are stored as `0`, `1`, ... in the order they come, since their names need not be paths. */
  readonly numbered?: boolean;
}

/** The files that came, by part. */
export type ReceivedFiles = ReadonlyMap<string, readonly StoredFile[]>;

/** Well above the shards of any real model. */
export const MAX_FILES = 10_000;
