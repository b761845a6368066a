import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Store } from '../storage/store.ts';
import type { Stores } from '../storage/stores.ts';
import { rootOf, tenantOf } from '../storage/tenant.ts';
import type { ChildFailure } from './child-pool.ts';
import { jobFields } from './job-fields.ts';
import { reasonOf } from './result.ts';
import type { AttemptEnd, AttemptedJob, AttemptHearer, AttemptWatcher } from './watch-attempts.ts';

/** What happened in an attempt. */
export interface AttemptEntry {
  readonly time: string;
  readonly event: 'started' | 'stage' | 'child_ended' | 'returned' | 'attempt_failed';
  /** Who took it up, in its first entry. */
  readonly worker?: { readonly host: string; readonly pid: number };
  readonly stage?: string;
  readonly detail?: string;
}

/** A job may be given back any number of times: the last place is that of all attempts from then on. */
export const MAX_ATTEMPTS = 20;
/** A job has eight stages, and a child might say anything. */
const MAX_ENTRIES = 32;
const MAX_CHARACTERS = 300;
/** Stages follow each other in milliseconds: they are written together. */
const WRITE_EVERY_MS = 1000;
/** A disk that is full or away must not hold up the job. */
const PATIENCE_MS = 1000;

/** The document of a job that holds an attempt's entries, counted from 1. */
export function attemptDocument(attempt: number): string {
  return `attempt-${attempt}.json`;
}

/** What is used of the stores. */
type JobStores = Pick<Stores, 'root' | 'find'>;

/** Of a message that stands for no job. */
const NOBODY: AttemptHearer = { entered() {}, ended() {} };

/** Keeps a log of each attempt beside its job. It is written by the worker alone, which outlives its child. */
export function logAttempts(stores: JobStores, log: Logger): AttemptWatcher {
  return { begin: (job) => (job.id.startsWith('job_') ? new AttemptLog(job, stores, log) : NOBODY) };
}

class AttemptLog implements AttemptHearer {
  readonly #job: AttemptedJob;
  readonly #stores: JobStores;
  readonly #log: Logger;
  readonly #entries: AttemptEntry[] = [];
  /** The place that it has found. */
  #document: string | undefined;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;

  constructor(job: AttemptedJob, stores: JobStores, log: Logger) {
    this.#job = job;
    this.#stores = stores;
    this.#log = log;
    this.#note({ event: 'started', worker: { host: hostname(), pid: process.pid } });
    this.#write();
  }

  entered(stage: string): void {
    this.#note({ event: 'stage', stage });
    this.#timer ??= setTimeout(() => this.#write(), WRITE_EVERY_MS);
  }

  lostChild({ how, message }: ChildFailure, reason: unknown): void {
    const why = how === 'out_of_time' ? 'it took too long' : `it was asked to end: ${reason}`;
    this.#note({ event: 'child_ended', detail: how === 'crashed' ? message : `${message}, as ${why}` });
  }

  async ended(end: AttemptEnd): Promise<void> {
    if (end.how === 'returned')
      this.#note({ event: 'returned', detail: 'the worker was stopped, and gave the job back' });
    if (end.how === 'failed')
      this.#note({ event: 'attempt_failed', detail: reasonOf(end.error, this.#root) });
    this.#write();
    const over = new AbortController();
    const patience = sleep(PATIENCE_MS, undefined, { signal: over.signal }).catch(() => {});
    await Promise.race([this.#writing, patience]);
    over.abort();
  }

  /** Of the store that has the job. */
  get #root(): string {
    return rootOf(this.#stores.root, tenantOf(this.#job.data));
  }

  #note(entry: Omit<AttemptEntry, 'time'>): void {
    if (this.#entries.length >= MAX_ENTRIES) this.#entries.splice(-1);
    const { stage, detail } = entry;
    this.#entries.push({
      ...{ time: new Date().toISOString(), ...entry },
      ...(stage !== undefined && { stage: stage.slice(0, MAX_CHARACTERS) }),
      ...(detail !== undefined && { detail: detail.slice(0, MAX_CHARACTERS) }),
    });
  }

  /** One write after the other, of all that is known by then. */
  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing
      .then(() => this.#put(JSON.stringify(this.#entries)))
      .catch((error) => {
        if (!this.#hasFailed) this.#log.warn({ err: error, ...jobFields(this.#job) }, 'job log not written');
        this.#hasFailed = true;
      });
  }

  async #put(text: string): Promise<void> {
    const { id, data } = this.#job;
    const store = await this.#stores.find(tenantOf(data));
    if (!store) return;
    if (this.#document === undefined) this.#document = await findPlace(store, id, text);
    else await store.writeText('jobs', id, this.#document, text);
  }
}

/** Writes to the first document that no other attempt has. @returns its name */
async function findPlace(store: Store, id: string, text: string): Promise<string> {
  for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
    const name = attemptDocument(attempt);
    if ((await store.decideOnce({ kind: 'jobs', id, name }, text)) === text) return name;
  }
  const last = attemptDocument(MAX_ATTEMPTS);
  await store.writeText('jobs', id, last, text);
  return last;
}
