/** What the process ends with. */
export const EXIT = { kept: 0, fault: 1, badInput: 2, notKept: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A place that was wrong, by the flag or file that it came by. */
export interface Place {
  readonly path: string;
  readonly message: string;
}

/** An end that is told in a line, and a further one for each place that was wrong. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly exitCode: ExitCode;
  readonly places: readonly Place[];

  constructor(exitCode: ExitCode, message: string, places: readonly Place[] = []) {
    super(message);
    this.exitCode = exitCode;
    this.places = places;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'no space is left on the disk',
  EROFS: 'its file system is read-only',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  ENOENT: 'it is not there',
  EEXIST: 'a file of this name is there',
  ENOTDIR: 'a part of its path is no folder',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'its name is too long',
};

/** Faults of the machine, which no other argument would mend. */
const OF_THE_DISK = ['ENOSPC', 'EDQUOT', 'EIO'];

/**
 * What the system refused about a file, in one line.
 * @param what was tried: `cannot write` a path
 */
export function fileRefusal(error: unknown, what: string, advice = ''): unknown {
  if (!(error instanceof Error && 'code' in error)) return error;
  const code = String(error.code);
  const reason = REASONS[code] ?? error.message;
  return new Refusal(OF_THE_DISK.includes(code) ? EXIT.fault : EXIT.badInput, `${what}: ${reason}${advice}`);
}

export const NO_ROOM = 'has no room left';

/** What is said where the folder for temporary files has no room, or takes no writes. */
export function temporaryRefusal(folder: string, reason: string): Refusal {
  return new Refusal(EXIT.fault, `${folder}, for temporary files, ${reason}: TMPDIR names another folder`);
}
