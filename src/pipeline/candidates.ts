import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from '../recipe/recipe.ts';
import type { Evaluation } from '../report/report.ts';
import type { Comparison, Evaluator } from '../runtime/evaluation.ts';
import { type Amount, amountOf } from './amount.ts';
import { bytesOf } from './model-size.ts';
import type { PruneJob } from './prune-job.ts';
import type { Repairs } from './repairs.ts';
import type { Decided, PrunedModel, Scored } from './scored.ts';

export type Point = NonNullable<Evaluation['uniform']>;
export type BetaPoint = Evaluation['sweep'][number];
export interface Measured extends Comparison {
  readonly sparsity: number;
  /** Null where nobody asked. */
  readonly weight: Weight | null;
}

/** What a model takes. */
export interface Weight {
  /** Those that pruning has left. */
  readonly parameters: number;
  readonly bytes: number;
  /** By zstd. */
  readonly compressed_bytes: number;
  /** Multiply-accumulates for one sample; null where they could not be counted, or nobody asked. */
  readonly macs: number | null;
  /** Of a batch, beside the dense model's; null where it was not measured. */
  readonly latency_ms: number | null;
  readonly dense_latency_ms: number | null;
  /** Whether the two differ by more than the dense model does from itself. */
  readonly latency_differs: boolean | null;
}

interface CandidateOptions {
  readonly job: PruneJob;
  readonly scored: Scored;
  /** By which candidates are measured; that which repairs are judged by may be another. */
  readonly evaluator: Evaluator;
  readonly choosing: Evaluator;
  readonly repairs: Repairs;
  /** Where it is wanted of each candidate. */
  readonly weigh?: (pruned: PrunedModel, isMeasured: boolean) => Promise<Weight>;
}

/** The model pruned by other amounts than the job's: decided on the same scores, written to a scratch folder, repaired as the job's model is, measured, removed. */
export class Candidates {
  readonly #options: CandidateOptions;
  /** Holds one candidate at a time. */
  readonly #directory: string;
  readonly #byBeta = new Map<number, Measured>();
  readonly #byChoice = new Map<string, Measured>();
  /** Of what was measured, and by its beta: what takes no fewer bytes than the dense model. */
  readonly #noSmaller = new Set<Measured | number>();

  constructor(options: CandidateOptions) {
    this.#options = options;
    this.#directory = join(options.job.scratchDirectory, 'candidate');
  }

  /** EMP at `beta`, as reports show it. */
  async at(beta: number): Promise<BetaPoint> {
    return { beta, ...createPoint(await this.comparedAt(beta)) };
  }

  /** EMP at `beta`, measured once. */
  async comparedAt(beta: number): Promise<Measured> {
    const known = this.known(beta);
    if (known) return known;
    const measured = await this.measure(await this.#options.scored.decide(this.#amountAt(beta)));
    if (this.#noSmaller.has(measured)) this.#noSmaller.add(beta);
    this.#byBeta.set(beta, measured);
    return measured;
  }

  /** What EMP's model at `beta` takes before it is repaired, which is as much, about. */
  async weighAt(beta: number): Promise<{ readonly sparsity: number; readonly weight: Weight }> {
    const { scored, weigh } = this.#options;
    if (weigh === undefined) throw new TypeError('candidates that are not weighed');
    const decided = await scored.decide(this.#amountAt(beta));
    try {
      const pruned = await decided.write(this.#directory);
      return { sparsity: pruned.sparsity, weight: await weigh(pruned, false) };
    } finally {
      await rm(this.#directory, { recursive: true, force: true });
    }
  }

  /** Whether the model that was measured at `beta` takes fewer bytes than the dense one; that is not asked of zeros in place. */
  isSmaller(beta: number): boolean {
    return !this.#noSmaller.has(beta);
  }

  /** Takes what was measured of the job's own model for the point at its beta, and for all that keep the same. */
  remember({ choice }: Decided, { beta }: Amount, measured: Measured): void {
    if (choice !== null) this.#byChoice.set(choice, measured);
    if (beta !== null) this.#byBeta.set(beta, measured);
  }

  /** What was measured at `beta`; null where nothing was. */
  known(beta: number): Measured | null {
    return this.#byBeta.get(beta) ?? null;
  }

  /** The model at the sparsity of the job's own, spread evenly by `scope`. */
  async evenly(sparsity: number, { minDensity }: Amount, scope: Recipe['scope']): Promise<Measured> {
    return await this.measure(await this.#options.scored.decideEvenly(sparsity, minDensity, scope));
  }

  /** Rounded counts of structures are often the same ones: what is kept is measured once. */
  async measure(decided: Decided): Promise<Measured> {
    const { repairs, job, evaluator, choosing, weigh } = this.#options;
    const directory = this.#directory;
    const { choice } = decided;
    const known = choice === null ? undefined : this.#byChoice.get(choice);
    if (known) return known;
    try {
      const pruned = await decided.write(directory);
      const { compared } = await repairs.apply(pruned);
      const isMeasured = compared !== null && evaluator === choosing;
      const own = isMeasured ? compared : await evaluator.compare(pruned.model);
      const weight = weigh ? await weigh(pruned, true) : null;
      const found = { ...own, sparsity: pruned.sparsity, weight };
      if (choice !== null) this.#byChoice.set(choice, found);
      const isReduced = job.input.recipe.granularity !== 'weight' && pruned.sparsity > 0;
      if (isReduced && (await bytesOf(pruned.model)) >= (await bytesOf(job.input.model)))
        this.#noSmaller.add(found);
      return found;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  #amountAt(beta: number): Amount {
    return { ...amountOf(this.#options.job.input.recipe, beta), beta, sparsity: null };
  }
}

/** What the report shows of a model that is not the job's own. */
export function createPoint({ sparsity, measurement }: Measured): Point {
  return { sparsity, ...measurement };
}
