import { EmpError } from '../core/errors.ts';
import { isCode } from './durable-files.ts';

/** What the system says of a directory that takes no writes now, and what that means. */
const REASONS: Readonly<Record<string, string>> = {
  EROFS: 'its file system is read-only',
  EACCES: 'the service has no right to write there',
  EPERM: 'the service has no right to write there',
  EIO: 'its disk fails',
};

/** An error of the data directory's disk that somebody can mend, as clients are told of it; null for any other. */
export function diskFault(error: unknown): EmpError | null {
  // A program that may not be run is no fault of the disk.
  if (!(error instanceof Error && 'code' in error) || /^spawn/.test(String(Reflect.get(error, 'syscall'))))
    return null;
  if (isCode(error, 'ENOSPC', 'EDQUOT'))
    return new EmpError('insufficient_storage', 'the data directory has no room left');
  if (isCode(error, 'EMFILE', 'ENFILE'))
    return new EmpError('not_ready', 'too many files are open; try again');
  const reason = REASONS[String(error.code)];
  return reason ? new EmpError('not_ready', `the data directory cannot be written to: ${reason}`) : null;
}

/** Whether a write that failed may be done later: the disk has room again, is mended, or put back where it was. */
export function mayPass(error: unknown): boolean {
  return diskFault(error) !== null || (error instanceof EmpError && error.code === 'not_ready');
}
