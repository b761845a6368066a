import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import { freshId } from '../storage/ids.ts';
import type { Store } from '../storage/store.ts';
import type { Tenant } from '../storage/tenant.ts';
import { askToCancel } from './cancel-request.ts';
import { followJob, type JobNews } from './follow-job.ts';
import { type Job, type JobRecord, type JobRequest, resourcesOf } from './job.ts';
import { laneOf } from './job-lanes.ts';
import { JobLists } from './job-lists.ts';
import type { JobQueues } from './job-queues.ts';
import { JobReader } from './job-reader.ts';
import { JobWatches } from './job-watches.ts';
import { useResource } from './keeping.ts';
import type { LaneQueues } from './lane-queues.ts';
import { neededBy } from './needed-by.ts';
import { progressOf } from './progress-events.ts';
import { queueLostJobs } from './recovery.ts';
import { hashOfAsked, keyReused, sha256 } from './request-hash.ts';
import { inputFailure, readResult, writeResult } from './result.ts';
import type { TenantQuota } from './tenant-quota.ts';
import { TenantTurns } from './tenant-turns.ts';

/** A running job has ended by then: one that does not hear is killed after a second. */
const CANCEL_WAIT_MS = 2000;

export interface JobsOptions {
  /** Whose jobs they are. */
  readonly tenant: Tenant;
  readonly store: Store;
  readonly queues: JobQueues;
  readonly quota: TenantQuota;
  readonly log: Logger;
  /** Hears of jobs that were ended here. */
  readonly onEnded: (id: string) => void;
}

/**
 * Jobs as clients know them. The store holds the truth, each job's request, progress and result; the queue says only who computes what
 * when, and is rebuilt from the store by `queueLost`. So nothing acknowledged is lost, and a finished job needs no queue.
 */
export class Jobs {
  readonly list: JobLists['page'];
  readonly #tenant: Tenant;
  readonly #store: Store;
  readonly #queues: JobQueues;
  readonly #lanes: LaneQueues;
  readonly #quota: TenantQuota;
  readonly #turns: TenantTurns;
  readonly #reader: JobReader;
  readonly #watches: JobWatches;
  readonly #onEnded: JobsOptions['onEnded'];

  constructor({ tenant, store, queues, quota, log, onEnded }: JobsOptions) {
    const { lanes } = queues;
    this.#tenant = tenant;
    this.#store = store;
    this.#queues = queues;
    this.#lanes = lanes;
    this.#quota = quota;
    this.#onEnded = onEnded;
    this.#turns = new TenantTurns(store, queues);
    this.#reader = new JobReader(store, lanes.lines, (records) => quota.enter(records), log);
    const lists = new JobLists(store, this.#reader);
    this.list = (...asked) => lists.page(...asked);
    this.#watches = new JobWatches({
      look: (id) => this.#reader.look(id),
      subscribe: (id) => lanes.wakeups.subscribe(id),
    });
  }

  /**
   * Records a job durably and queues it. With a key seen before, returns the job it was first used for.
   * @param publish makes what came with the request visible; called only for a new job that nothing is known to stand against
   * @throws EmpError idempotency_key_reused when the key came with another request, quota_exceeded, not_ready when the queue does not answer
   */
  async submit(
    request: JobRequest,
    idempotencyKey?: string,
    publish: () => Promise<void> = async () => {},
  ): Promise<{ job: Job; created: boolean }> {
    const request_sha256 = hashOfAsked(request);
    const key =
      idempotencyKey === undefined ? null : ({ kind: 'idempotency', id: sha256(idempotencyKey) } as const);
    const known = key && (await this.#store.readAnswer(key));
    if (!known || !(await this.#store.readRecord('jobs', known))) {
      await this.#queues.requireRoom(this.#store);
      // What a search has done it was let in for; who sends a key at the same time may have its place already.
      const isNoted = known && (await this.#store.unfinishedSince(known)) !== null;
      if (request.search_id === undefined && !isNoted) await this.#quota.requirePlace();
    }
    const fresh = freshId('job');
    const id = key ? await this.#store.decideOnce(key, fresh) : fresh;
    const existing = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!existing) await publish();
    const { record, created } = existing
      ? { record: existing, created: false }
      : await this.#quota.inTurn(async () =>
          this.#publish(await this.#recordOf(id, request, request_sha256), !key),
        );
    if (record.request_sha256 !== request_sha256) throw keyReused(id);
    try {
      if (created || !(await readResult(this.#store, id))) await this.#quota.enter([record]);
    } catch (error) {
      // With a key the record stays for the retry, and for whoever sent the key at the same time and was told that all is well.
      if (created && !key) {
        await this.#store.remove('jobs', id);
        await this.#forget(record);
      }
      throw error;
    }
    return { job: await this.#reader.describe(record), created };
  }

  get(id: string): Promise<Job | null> {
    return this.#reader.get(id);
  }

  /** Ends a job: a waiting one at once, a running one within two seconds. A finished one stays as it is; null when there is none. */
  async cancel(id: string): Promise<Job | null> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    if (!(await readResult(this.#store, id))) {
      // First the word to the child: the job may start, or start again, at any moment before it is out of the queue.
      await askToCancel(this.#store, id);
      const news = this.#lanes.news[laneOf(record)];
      const { progress: told, isOut } = await this.#lanes.lines.remove(record);
      if (isOut) {
        const error = inputFailure(new EmpError('canceled', 'The job was canceled before it ran.'));
        const progress = progressOf({ progress: told });
        await writeResult(this.#store, id, { status: 'canceled', started_at: null, error, progress });
        this.#queues.jobEnded('canceled');
        news.tellEnded(id);
        this.#onEnded(id);
      }
      // Also of a job that the queue does not know: its worker may have been forgotten with it.
      news.tellCancelAsked(id);
    }
    return this.wait(id, CANCEL_WAIT_MS);
  }

  /** @throws EmpError conflict while the job is queued or running, or a search shows what it found. False when there is none. */
  async delete(id: string): Promise<boolean> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return false;
    if (!(await readResult(this.#store, id)))
      throw new EmpError('conflict', `job ${id} has not finished: cancel it first`);
    if (record.search_id && (await this.#store.readRecord('searches', record.search_id)))
      throw new EmpError('conflict', `job ${id} is part of search ${record.search_id}: delete that first`);
    await this.#forget(record);
    return this.#store.remove('jobs', id);
  }

  /** The job when it has finished, or as it stands after `timeoutMs` or when `signal` aborts; null when there is none. */
  async wait(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Job | null> {
    const over = AbortSignal.timeout(timeoutMs);
    const looks = this.#watches.looks(id, signal ? AbortSignal.any([over, signal]) : over);
    for await (const { end } of looks) if (end) return end.data;
    return this.get(id);
  }

  /**
   * The job's events after `lastEventId`, those of the past at once, then as they happen; nothing where there is no such job. Ends after the
   * terminal one, when `signal` aborts, or when the job is deleted.
   */
  follow(id: string, lastEventId: number, signal: AbortSignal): AsyncGenerator<JobNews, void> {
    return followJob(this.#watches.looks(id, signal), lastEventId);
  }

  /** The id of a job or search that has not ended and needs this model or dataset; null where none does. */
  neededBy(resourceId: string): Promise<string | null> {
    return neededBy(this.#store, resourceId);
  }

  /** Queues again what the queue has lost. @throws EmpError not_ready */
  queueLost(): Promise<void> {
    return queueLostJobs(this.#store, this.#lanes.lines, (records) => this.#quota.enter(records));
  }

  async #recordOf(id: string, request: JobRequest, request_sha256: string): Promise<JobRecord> {
    const turn = await this.#turns.next(request);
    const whose = this.#tenant === null ? {} : { tenant: this.#tenant };
    return { id, created_at: new Date().toISOString(), ...request, turn, request_sha256, ...whose };
  }

  /** Of a job that can be seen to need them. @throws EmpError not_found where one has been removed meanwhile; then the job is gone too */
  async #useResources(record: JobRecord): Promise<void> {
    try {
      for (const id of resourcesOf(record)) await useResource(this.#store, id);
    } catch (error) {
      await this.#store.remove('jobs', record.id);
      throw error;
    }
  }

  /** @param isOnlyOne whether nobody else may be publishing a job of this id */
  async #publish(record: JobRecord, isOnlyOne: boolean): Promise<{ record: JobRecord; created: boolean }> {
    const upload = await this.#store.createUpload();
    try {
      await this.#store.addUnfinished(record.id, resourcesOf(record));
      if (record.webhook) await this.#store.addUntold(record.id);
      // What a search has done it was let in for.
      if (record.search_id === undefined) {
        await this.#quota.checkJobs();
        await upload.announce(1);
      }
      const published = await this.#store.publish('jobs', upload, record);
      // Another who was refused may have taken the note back, or recovery, where this took long.
      if (!isOnlyOne || (await this.#store.unfinishedSince(record.id)) === null)
        await this.#store.addUnfinished(record.id, resourcesOf(record));
      if (published.created) await this.#useResources(record);
      return published;
    } catch (error) {
      const isRefused = isOnlyOne || error instanceof EmpError;
      if (isRefused && !(await this.#store.readRecord('jobs', record.id))) await this.#forget(record);
      throw error;
    } finally {
      await upload.discard();
    }
  }

  /** What is noted of a job that is not, or will not be, there. */
  async #forget(record: JobRecord): Promise<void> {
    await this.#store.removeUnfinished(record.id, resourcesOf(record));
    if (record.webhook) await this.#store.removeUntold(record.id);
  }
}
