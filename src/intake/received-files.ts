import { createHash } from 'node:crypto';
import { EmpError, type ErrorCode } from '../core/errors.ts';
import { contentId } from '../storage/ids.ts';
import type { StoredFile } from '../storage/records.ts';

/** Where the files of a part go. */
export interface FileRule {
  readonly directory: string;
  /** They are stored as `0`, `1`, ... in the order they come, since their names need not be paths. */
  readonly numbered?: boolean;
}

/** The files that came, by part. */
export type ReceivedFiles = ReadonlyMap<string, readonly StoredFile[]>;

/** Of one upload, archived or not. Exporters write a file a tensor: some 700 for a model of 70 billion parameters, some thousands for a mixture of experts. */
export const MAX_FILES = 4096;

/**
 * What a record says of its files together: an id of their content, and the hash of what sha256sum prints of them.
 * @param kind what the id tells apart beside the content
 */
export function describeFiles(prefix: 'mdl' | 'dat', kind: string, files: readonly StoredFile[]) {
  const manifest = files.map(({ sha256, name }) => `${sha256}  ${name}\n`).join('');
  return {
    id: contentId(prefix, `${kind}${manifest}`),
    created_at: new Date().toISOString(),
    sha256: createHash('sha256').update(manifest).digest('hex'),
    size_bytes: files.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
  };
}

/** A refusal of what came as a part of a form. */
export function badPart(part: string, message: string, code: ErrorCode = 'invalid_request'): EmpError {
  return new EmpError(code, `part ${part} ${message}`, [{ path: part, message }]);
}
