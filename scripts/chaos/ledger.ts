import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isEnded, type JobView, PATIENCE_MS, sha256 } from './client.ts';
import type { Site } from './site.ts';
import type { RecipeName } from './workload.ts';

/** What an undisturbed run of a recipe gives: the hash of every artifact, and every figure of the report by its JSON pointer. */
export type Reference = Readonly<Record<string, string>>;

export interface JobCounts {
  readonly injected: number;
  readonly acknowledged: number;
  readonly finished: number;
  readonly lost: number;
  readonly corrupt: number;
  readonly different: number;
  readonly waiting: number;
}

/** A worker that lost a job computes it to its end, and then removes what it made. */
const REMNANT_MS = 10_000;

/** Measured times differ between any two runs; the page shows them, and so do warnings. */
const MEASURED = /^(latency|(timings_ms|speedups|decision|origin)$)/;
const MEASURED_WORDS =
  /\d[\d.e-]* ms\b|no difference: dense against dense varies by \d[\d.]* %|\d[\d.]* x as fast/g;

/** What was injected and acknowledged in a scenario, held against what came of it. */
export class Ledger {
  readonly notes: string[] = [];
  readonly #site: Site;
  readonly #references: Readonly<Record<RecipeName, Reference>> | null;
  readonly #honestFailures: readonly string[];
  readonly #jobs = new Map<string, RecipeName | 'endless'>();
  #injected = 0;

  constructor(
    site: Site,
    references: Readonly<Record<RecipeName, Reference>> | null,
    honestFailures: readonly string[] = [],
  ) {
    this.#site = site;
    this.#references = references;
    this.#honestFailures = honestFailures;
  }

  /** Submits a job until it is acknowledged; an endless one is to be canceled. Throws when a minute was not enough. */
  async submit(recipe: RecipeName | 'endless' = 'most'): Promise<string> {
    const id = await this.#site.client.submit(recipe);
    if (id === null) throw new Error('a job was not acknowledged within a minute');
    this.#jobs.set(id, recipe);
    return id;
  }

  /** Counts a fault. */
  injected(): void {
    this.#injected++;
  }

  /** Waits until every acknowledged job has ended, or a minute has passed. */
  async ended(): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    await Promise.all(Array.from(this.#jobs.keys(), (id) => this.#site.client.until(id, isEnded, deadline)));
  }

  /** Waits for all acknowledged jobs, a minute from now, and looks at what came of each. */
  async settle(): Promise<JobCounts> {
    const deadline = Date.now() + PATIENCE_MS;
    const counts = { finished: 0, lost: 0, corrupt: 0, different: 0, waiting: 0 };
    await Promise.all(
      Array.from(this.#jobs, async ([id, recipe]) => {
        const job = await this.#site.client.until(id, isEnded, deadline);
        const verdict = await this.#judge(id, recipe, job);
        for (const name of verdict) counts[name]++;
      }),
    );
    const unasked = (await this.#site.client.list()).filter((id) => !this.#jobs.has(id));
    const remnants = counts.waiting === 0 ? await this.#remnants() : [];
    const wrong = [
      ...unasked.map((id) => `${id} is there, and was not acknowledged`),
      ...remnants.map((path) => `left in uploads: ${path}`),
      ...this.#site.client.wrongAnswers,
    ];
    this.notes.push(...wrong);
    counts.corrupt += wrong.length;
    return { injected: this.#injected, acknowledged: this.#jobs.size, ...counts };
  }

  async #judge(
    id: string,
    recipe: RecipeName | 'endless',
    job: JobView | null | undefined,
  ): Promise<('finished' | 'lost' | 'corrupt' | 'different' | 'waiting')[]> {
    if (job === null) {
      this.notes.push(`${id} is not there`);
      return ['lost'];
    }
    if (!job || !isEnded(job)) {
      this.notes.push(
        `${id} is ${job?.status ?? 'not answered for'}, at ${job?.progress?.stage ?? 'no stage'}`,
      );
      return ['waiting'];
    }
    if (recipe === 'endless') return job.status === 'canceled' ? ['finished'] : ['lost'];
    if (job.status !== 'succeeded') {
      const { code, detail } = job.error ?? { code: job.status, detail: '' };
      this.notes.push(`${id} ${job.status}: ${code}: ${detail}`);
      return [this.#honestFailures.includes(code) ? 'finished' : 'lost'];
    }
    const { corrupt, found } = await this.#read(job);
    if (corrupt.length > 0) {
      this.notes.push(`${id}: ${corrupt.join(', ')} not what the job says`);
      return ['finished', 'corrupt'];
    }
    const expected = this.#references?.[recipe] ?? found;
    const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])];
    const different = names.filter((name) => expected[name] !== found[name]);
    if (different.length > 0)
      this.notes.push(
        `${id}: ${different.length} not as undisturbed: ${different.map((name) => `${name} ${found[name]} for ${expected[name]}`).join(', ')}`,
      );
    return different.length > 0 ? ['finished', 'different'] : ['finished'];
  }

  /** Downloads a job's artifacts: those whose bytes are not of their hash, and of each what does not change from run to run. */
  async #read({ artifacts }: JobView): Promise<{ corrupt: string[]; found: Reference }> {
    const corrupt: string[] = [];
    const found: Record<string, string> = {};
    for (const { name, sha256: recorded, url } of artifacts) {
      const bytes = await this.#site.client.download(url);
      if (!bytes || sha256(bytes) !== recorded) corrupt.push(name);
      else if (name === 'report.json')
        Object.assign(
          found,
          Object.fromEntries(figuresOf(JSON.parse(new TextDecoder().decode(bytes)), name)),
        );
      else if (name !== 'report.html' && name !== 'report.md') found[name] = recorded;
    }
    return { corrupt, found };
  }

  /** The hashes of the one job that ran. */
  async reference(): Promise<Reference> {
    const [id] = this.#jobs.keys();
    const job = await this.#site.client.until(id, isEnded);
    if (job?.status !== 'succeeded') throw new Error(`the undisturbed job is ${JSON.stringify(job)}`);
    return (await this.#read(job)).found;
  }

  /** Files that are still in folders of uploads a while after every job has ended. */
  async #remnants(): Promise<string[]> {
    const uploads = join(this.#site.directory, 'uploads');
    const deadline = Date.now() + REMNANT_MS;
    for (;;) {
      // A folder may go while it is read.
      const entries = await readdir(uploads, { recursive: true, withFileTypes: true }).catch(() => null);
      const files = entries?.filter((entry) => entry.isFile()) ?? [];
      if ((entries && files.length === 0) || Date.now() > deadline)
        return files.map(({ parentPath, name }) => relative(uploads, join(parentPath, name)));
      await sleep(100);
    }
  }
}

/** A report's figures by their JSON pointers, but for those that a clock measured, and the ids of the job. */
function* figuresOf(value: unknown, path: string): Generator<[string, string]> {
  if (typeof value !== 'object' || value === null)
    yield [path, String(value).replaceAll(MEASURED_WORDS, 'measured')];
  else
    for (const [key, inner] of Object.entries(value))
      if (!MEASURED.test(key)) yield* figuresOf(inner, `${path}/${key}`);
}
