import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEndlessForm, createJobForm, type RecipeName } from './workload.ts';

export interface JobView {
  readonly id: string;
  readonly status: 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled';
  readonly progress: { readonly stage: string; readonly percent: number } | null;
  readonly artifacts: readonly { readonly name: string; readonly sha256: string; readonly url: string }[];
  readonly error: { readonly code: string; readonly detail: string } | null;
}

/** How long a client keeps trying, and how long after a fault a job may take. */
export const PATIENCE_MS = 60_000;
const RETRY_MS = 200;
/** A server that is frozen neither answers nor refuses. */
const ANSWER_MS = 20_000;
/** 503 and 507 are honest answers to faults. */
const HONEST = [503, 507];

/** A client as it should be: it sends an idempotency key with every job, and tries again what was not acknowledged. */
export class Client {
  readonly #baseUrl: string;
  /** Answers 5xx that tell of a fault of the service, not of its surroundings. */
  readonly wrongAnswers: string[] = [];

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  /** Submits a job; resolves to its id once the service has acknowledged it, null when it has not for a minute. */
  async submit(recipe: RecipeName | 'endless'): Promise<string | null> {
    const headers = { 'idempotency-key': randomUUID() };
    const response = await this.#persist('/v1/jobs', async () => {
      const body = recipe === 'endless' ? createEndlessForm() : await createJobForm(recipe);
      return { method: 'POST', headers, body };
    });
    return response ? ((await response.json()) as JobView).id : null;
  }

  async cancel(id: string): Promise<void> {
    await this.#persist(`/v1/jobs/${id}/cancel`, async () => ({ method: 'POST' }));
  }

  /** Sends the first `share` of a job's request, waits for `then`, and hangs up. */
  async submitPartly(recipe: RecipeName, share: number, then: () => Promise<void>): Promise<void> {
    const whole = new Response(await createJobForm(recipe));
    const type = whole.headers.get('content-type') ?? '';
    const bytes = await whole.bytes();
    const aborting = new AbortController();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes.subarray(0, Math.floor(bytes.byteLength * share))),
    });
    const init = { method: 'POST', body, duplex: 'half', headers: { 'content-type': type } };
    const sent = fetch(`${this.#baseUrl}/v1/jobs`, { ...init, signal: aborting.signal } as RequestInit);
    const ended = sent.then(
      () => {},
      () => {},
    );
    await sleep(RETRY_MS);
    await then();
    aborting.abort();
    await ended;
  }

  /** The job as it stands; null when there is none; undefined when nobody says. */
  async look(id: string): Promise<JobView | null | undefined> {
    const response = await this.#ask(`/v1/jobs/${id}`);
    if (response?.status === 404) return null;
    return response?.ok ? ((await response.json()) as JobView) : undefined;
  }

  /** Looks at a job until `holds`, or until `deadline`. Resolves to the last that was seen. */
  async until(
    id: string,
    holds: (job: JobView) => boolean,
    deadline = Date.now() + PATIENCE_MS,
  ): Promise<JobView | null | undefined> {
    let last: JobView | null | undefined;
    do {
      const seen = await this.look(id);
      if (seen === null) return null;
      last = seen ?? last;
      if (seen && (holds(seen) || isEnded(seen))) return seen;
      await sleep(25);
    } while (Date.now() < deadline);
    return last;
  }

  /** A file's bytes; null when they cannot be had. */
  async download(url: string): Promise<Uint8Array | null> {
    const response = await this.#persist(url, async () => ({})).catch(() => null);
    return response && (await response.bytes());
  }

  /** The ids of all jobs. */
  async list(): Promise<string[]> {
    const ids: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor && `&cursor=${cursor}`;
      const response = await this.#persist(`/v1/jobs?limit=100${query}`, async () => ({}));
      if (!response) return ids;
      const page = (await response.json()) as { data: JobView[]; next_cursor: string | null };
      ids.push(...page.data.map(({ id }) => id));
      cursor = page.next_cursor;
    }
    return ids;
  }

  async #persist(path: string, init: () => Promise<RequestInit>): Promise<Response | null> {
    const deadline = Date.now() + PATIENCE_MS;
    do {
      const response = await this.#ask(path, await init());
      if (response?.ok) return response;
      if (response && response.status < 500) throw new Error(`${path}: ${await response.text()}`);
      await sleep(RETRY_MS);
    } while (Date.now() < deadline);
    return null;
  }

  /** Undefined where nobody answers. */
  async #ask(path: string, init: RequestInit = {}): Promise<Response | undefined> {
    try {
      const signal = AbortSignal.timeout(ANSWER_MS);
      const response = await fetch(this.#baseUrl + path, { ...init, signal });
      if (response.status >= 500 && !HONEST.includes(response.status))
        this.wrongAnswers.push(`${init.method ?? 'GET'} ${path}: ${await response.clone().text()}`);
      return response;
    } catch {
      return undefined;
    }
  }
}

export function isEnded({ status }: JobView): boolean {
  return status !== 'queued' && status !== 'running';
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
