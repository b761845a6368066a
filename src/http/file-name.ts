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

function refused(part: string, message: string): EmpError {
  return new EmpError('invalid_request', `part ${part}: ${message}`, [{ path: part, message }]);
}
