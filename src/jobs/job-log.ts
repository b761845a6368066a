import type { Store } from '../storage/store.ts';
import { type AttemptEntry, attemptDocument, MAX_ATTEMPTS } from './attempt-log.ts';
import type { JobRecord, JobResult } from './job.ts';
import { readResult } from './result.ts';

export const LOG_EVENTS = [
  'submitted',
  'started',
  'stage',
  'child_ended',
  'returned',
  'attempt_failed',
  'warning',
  'ended',
] as const;

/** What happened with a job at a time. */
export interface JobLogEntry {
  readonly time: string;
  readonly event: (typeof LOG_EVENTS)[number];
  /** Counted from 1; null of what belongs to none. */
  readonly attempt: number | null;
  readonly request_id: string | null;
  readonly worker: NonNullable<AttemptEntry['worker']> | null;
  readonly stage: string | null;
  /** Of a warning, of an end the status, or the error's. */
  readonly code: string | null;
  readonly detail: string | null;
}

/** Of a report that has many, the first say what is the matter. */
const MAX_WARNINGS = 20;

const NOTHING = { attempt: null, request_id: null, worker: null, stage: null, code: null, detail: null };

/** What happened with a job, in order of time, of what the store knows: its record, its attempts and its result. Null where there is no such job. */
export async function readJobLog(store: Store, id: string): Promise<JobLogEntry[] | null> {
  const record = await store.readRecord<JobRecord>('jobs', id);
  if (!record) return null;
  const { created_at: time, request_id = null } = record;
  const entries: JobLogEntry[] = [{ ...NOTHING, time, event: 'submitted', request_id }];
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const told = await store.readJson<AttemptEntry[]>('jobs', id, attemptDocument(attempt));
    if (!told) break;
    entries.push(...told.map((entry) => ({ ...NOTHING, ...entry, attempt })));
  }
  const result = await readResult(store, id);
  if (result) entries.push(...endOf(result));
  // Of the same time they stay in this order.
  return entries.sort((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
}

function endOf({ status, error, warnings = [], finished_at: time }: JobResult): JobLogEntry[] {
  const warned = warnings
    .slice(0, MAX_WARNINGS)
    .map(({ code, text }) => ({ ...NOTHING, time, event: 'warning' as const, code, detail: text }));
  const end = { code: error?.code ?? status, detail: error?.detail ?? null };
  return [...warned, { ...NOTHING, time, event: 'ended', ...end }];
}
