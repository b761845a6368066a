import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

/** Logs of all processes are JSON lines on stderr: stdout carries the one line that scripts wait for. @param also gives further fields of each line */
export function createLog(level: string, also?: () => object): Logger {
  return pino({ level, ...(also && { mixin: also }) }, { write: writeLine });
}

/** A line that cannot be written is lost. pino's own destination would end the process, and first try for ever, where stderr is a file on a full disk. */
function writeLine(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {}
}
