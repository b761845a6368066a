import type { Store } from '../../storage/store.ts';
import { MAX_TOLD, waitingCandidates } from '../external-step.ts';
import type { JobRecord, WebhookTarget } from '../job.ts';
import { readResult } from '../result.ts';
import { isSearchId, type SearchRecord } from '../search-lines.ts';
import type { SearchState } from '../search-reader.ts';
import { readSearchResult } from '../search-records.ts';
import { type Delivery, newDelivery, type Occasion } from './delivery.ts';
import { bodyOfCandidate, bodyOfJob, bodyOfSearch } from './delivery-body.ts';

/** How the jobs of a search stand, by what the store tells. */
export type StatesOf = (record: SearchRecord) => Promise<SearchState>;

/** A job or search that somebody is to be told of. */
export type Subject = { readonly webhook: WebhookTarget } & (
  | { readonly kind: 'jobs'; readonly record: JobRecord }
  | { readonly kind: 'searches'; readonly record: SearchRecord }
);

/** Deliveries as the store has them. */
export class DeliveryRecords {
  readonly #store: Store;
  readonly #states: StatesOf;

  constructor(store: Store, states: StatesOf) {
    this.#store = store;
    this.#states = states;
  }

  /** Null where there is none, or nobody is to be told of it. */
  async subject(id: string): Promise<Subject | null> {
    if (isSearchId(id)) {
      const record = await this.#store.readRecord<SearchRecord>('searches', id);
      return record?.webhook ? { kind: 'searches', record, webhook: record.webhook } : null;
    }
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    return record?.webhook ? { kind: 'jobs', record, webhook: record.webhook } : null;
  }

  read({ kind, record }: Subject, occasion: Occasion): Promise<Delivery | null> {
    return this.#store.readJson<Delivery>(kind, record.id, nameOf(occasion));
  }

  /** Those that have been made, oldest first. */
  async list(subject: Subject): Promise<Delivery[]> {
    const candidates = isTold(subject) ? Array.from({ length: MAX_TOLD }, (_, i) => i) : [];
    const occasions: Occasion[] = [...candidates.map((i): Occasion => `candidate-${i}`), 'end'];
    const found = await Promise.all(occasions.map((occasion) => this.read(subject, occasion)));
    return found.filter((one) => one !== null);
  }

  /** Makes deliveries of what there is to tell. @returns those that wait to be sent; where no more will come, and none does, the note of it is gone */
  async due(subject: Subject): Promise<Delivery[]> {
    const { kind, record } = subject;
    const hasEnded = await this.#hasEnded(subject);
    const waiting = !hasEnded && isTold(subject) ? await this.#candidates(subject) : [];
    const occasions = hasEnded ? (['end'] as const) : waiting;
    for (const occasion of occasions) {
      const question = { kind, id: record.id, name: nameOf(occasion) };
      await this.#store.decideOnce(question, JSON.stringify(newDelivery(record, occasion)));
    }
    const deliveries = (await this.list(subject)).filter(({ status }) => status === 'waiting');
    if (hasEnded && deliveries.length === 0) await this.#store.removeUntold(record.id);
    return deliveries;
  }

  /** To be called when a delivery has ended. */
  async settle(subject: Subject): Promise<void> {
    const { id } = subject.record;
    if ((await this.due(subject)).length > 0) return;
    // Somebody may have asked for one again before the note was gone.
    if ((await this.list(subject)).some(({ status }) => status === 'waiting'))
      await this.#store.addUntold(id);
  }

  async write(id: string, delivery: Delivery): Promise<void> {
    const kind = isSearchId(id) ? 'searches' : 'jobs';
    await this.#store.writeText(kind, id, nameOf(delivery.occasion), JSON.stringify(delivery));
  }

  /** What the receiver is sent: the same at each attempt. */
  async bodyOf(subject: Subject, { occasion, created_at }: Delivery): Promise<object> {
    const { id } = subject.record;
    if (subject.kind === 'jobs') {
      const result = await readResult(this.#store, id);
      if (result) return bodyOfJob(subject.record, result);
      throw new Error(`job ${id} has not ended, and there is nothing to tell`);
    }
    const states = await this.#states(subject.record);
    if (occasion !== 'end') return bodyOfCandidate(subject.record, candidateOf(occasion), states, created_at);
    const result = await readSearchResult(this.#store, id);
    if (result) return bodyOfSearch(subject.record, result, states);
    throw new Error(`search ${id} has not ended, and there is nothing to tell`);
  }

  async #hasEnded({ kind, record: { id } }: Subject): Promise<boolean> {
    const result = kind === 'jobs' ? readResult(this.#store, id) : readSearchResult(this.#store, id);
    return (await result) !== null;
  }

  async #candidates({ record }: Extract<Subject, { kind: 'searches' }>): Promise<Occasion[]> {
    const { told } = await this.#states(record);
    return waitingCandidates(told).map((number): Occasion => `candidate-${number}`);
  }
}

/** Whether the client's own metric says what candidates are worth. */
function isTold(subject: Subject): subject is Extract<Subject, { kind: 'searches' }> {
  return subject.kind === 'searches' && subject.record.terms.promise.external !== undefined;
}

export function candidateOf(occasion: Exclude<Occasion, 'end'>): number {
  return Number(occasion.slice('candidate-'.length));
}

function nameOf(occasion: Occasion): string {
  return `webhook-${occasion}.json`;
}
