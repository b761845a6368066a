import { appendFileSync, closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { JobProgress } from './job.ts';

/** A reader of events needs no more than this. */
const MIN_INTERVAL_MS = 200;
/** More than any line has. */
const TAIL_BYTES = 512;

/**
 * A job's progress: one JSON line an event in the job's folder, line `n` being event `n`. It stays with the job, whatever becomes of its
 * queue entry. (BullMQ's own logs would not do: a sandboxed child's messages are handled side by side, so on PostgreSQL two log lines may
 * claim one index, and a line that fails to be stored fails the job.)
 */
export class ProgressWriter {
  readonly #descriptor: number;
  #last: JobProgress | undefined;
  #lastAt = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'a');
  }

  /** Notes where the job is: every stage, and within one as often as readers care. */
  report(progress: JobProgress): void {
    const now = performance.now();
    if (progress.stage === this.#last?.stage && now - this.#lastAt < MIN_INTERVAL_MS) return;
    const { stage, percent } = progress;
    appendFileSync(
      this.#descriptor,
      `${JSON.stringify({ stage, percent: Math.round(percent * 10) / 10 })}\n`,
    );
    this.#last = progress;
    this.#lastAt = now;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

/** The events after byte `offset`, and the offset to go on from. A line that a power cut tore counts but says nothing: null. */
export async function readProgress(
  path: string,
  offset: number,
): Promise<{ events: (JobProgress | null)[]; offset: number }> {
  const text = await readFrom(path, () => offset);
  const end = text.lastIndexOf('\n') + 1;
  if (end === 0) return { events: [], offset };
  const complete = text.slice(0, end);
  const events = complete.split('\n').slice(0, -1).map(parseLine);
  return { events, offset: offset + Buffer.byteLength(complete) };
}

/** Where a job is; null where it has not said. */
export async function readLastProgress(path: string): Promise<JobProgress | null> {
  const lines = (await readFrom(path, (size) => Math.max(0, size - TAIL_BYTES))).split('\n').slice(0, -1);
  return parseLine(lines.at(-1) ?? '');
}

async function readFrom(path: string, start: (size: number) => number): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const position = start(size);
    const bytes = Buffer.alloc(Math.max(0, size - position));
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, position);
    return bytes.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

function parseLine(line: string): JobProgress | null {
  try {
    return JSON.parse(line) as JobProgress;
  } catch {
    return null;
  }
}
