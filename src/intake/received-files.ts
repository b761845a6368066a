import { EmpError, type ErrorCode } from '../core/errors.ts';
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

/** A dataset ready to be published. */
export interface PreparedDataset<Record, Content> {
  readonly record: Record;
  /** As its own document holds it: paths are relative to the dataset's `files/`. */
  readonly content: Content;
}

/** A refusal of what came as a part of a form. */
export function badPart(part: string, message: string, code: ErrorCode = 'invalid_request'): EmpError {
  return new EmpError(code, `part ${part} ${message}`, [{ path: part, message }]);
}
