import { type ToldCandidate, waitingCandidates } from '../external-step.ts';
import type { SearchRecord } from '../search-lines.ts';

/** Says once of a search with a webhook that there is something to tell. */
export class SearchNews {
  readonly #onNews: (id: string) => void;
  /** Which candidates wait for the client, as was last seen. */
  readonly #waiting = new Map<string, string>();

  constructor(onNews: (id: string) => void) {
    this.#onNews = onNews;
  }

  ended({ id, webhook }: SearchRecord): void {
    this.#waiting.delete(id);
    if (webhook) this.#onNews(id);
  }

  looked({ id, webhook }: SearchRecord, told: readonly ToldCandidate[]): void {
    const waiting = waitingCandidates(told).join();
    if (!webhook || this.#waiting.get(id) === waiting) return;
    this.#waiting.set(id, waiting);
    this.#onNews(id);
  }
}
