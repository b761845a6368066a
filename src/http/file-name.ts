import { EmpError } from '../core/errors.ts';

/** The most that Linux file systems take in one segment of a path. */
const MAX_SEGMENT_BYTES = 255;
const MAX_SEGMENTS = 8;

/**
 * A file's name as a client sent it, if it can be one inside a folder of ours: relative, forward slashes, no way up, nothing hidden in it.
 * Refused rather than mended, since models refer to their files by name.
 * @throws EmpError `invalid_request`
 */
export function checkFileName(name: string | undefined, part: string): string {
  if (!name) throw refused(part, 'needs a filename');
  const segments = name.split('/');
  if (segments.length > MAX_SEGMENTS)
    throw refused(part, `filename lies more than ${MAX_SEGMENTS} folders deep`);
  for (const segment of segments) {
    if (
      segment === '' ||
      segment === '.' ||
      segment === '..' ||
      /[\\\p{Cc}\p{Cs}]/u.test(segment) ||
      segment.includes(':')
    )
      throw refused(part, `filename ${JSON.stringify(name)} is not a plain relative name`);
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)
      throw refused(part, `filename has a part of more than ${MAX_SEGMENT_BYTES} bytes`);
  }
  return name;
}

/** Well above the longest name that an exporter gives an input. */
const MAX_ARRAY_NAME_BYTES = 1024;

/**
 * The name of a file that is stored under another one: anything that is text.
 * @throws EmpError `invalid_request`
 */
export function checkArrayFileName(name: string | undefined, part: string): string {
  if (!name) throw refused(part, 'needs a filename');
  if (/[\p{Cc}\p{Cs}]/u.test(name))
    throw refused(part, `filename ${JSON.stringify(name)} has characters that no name has`);
  if (Buffer.byteLength(name) > MAX_ARRAY_NAME_BYTES)
    throw refused(part, `filename has more than ${MAX_ARRAY_NAME_BYTES} bytes`);
  return name;
}

function refused(part: string, message: string): EmpError {
  return new EmpError('invalid_request', `part ${part}: ${message}`, [{ path: part, message }]);
}
