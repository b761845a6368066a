import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RandomWords } from '../core/random-words.ts';
import type { AllocationFigures } from '../report/allocation-figures.ts';
import type { Amount } from './amount.ts';
import { CalibrationJudge } from './calibration-judge.ts';
import type { Judges } from './judges.ts';
import type { PruneJob } from './prune-job.ts';
import type { Repairs } from './repairs.ts';
import type { Decided, Scored } from './scored.ts';
import { drawMove } from './weights/draw-move.ts';
import { ScoredWeights, type SharedTotal } from './weights/scored.ts';

/** What an amount keeps, shared among the tensors by one of the rules. */
interface Chosen {
  readonly decided: Decided;
  readonly figures: AllocationFigures;
}

/**
 * Weights of which scope and amount say how many stay in all, and the calibration data by which rule they are shared among the tensors: for each amount anew that by which the model, pruned
 * and repaired, is nearest to the dense one.
 */
export class SharedWeights implements Scored {
  readonly #job: PruneJob;
  readonly #scored: ScoredWeights;
  readonly #repairs: Repairs;
  readonly #judge: CalibrationJudge;
  readonly #chosen = new Map<string, Promise<Chosen>>();

  private constructor(job: PruneJob, scored: ScoredWeights, repairs: Repairs, judge: CalibrationJudge) {
    this.#job = job;
    this.#scored = scored;
    this.#repairs = repairs;
    this.#judge = judge;
  }

  /** @throws EmpError as `CalibrationJudge.open` */
  static async open(
    job: PruneJob,
    scored: ScoredWeights,
    repairs: Repairs,
    judges: Judges | null,
  ): Promise<SharedWeights> {
    return new SharedWeights(job, scored, repairs, await CalibrationJudge.open(job, judges));
  }

  /** What it counts is the total, whichever rule shares it. */
  async decide(amount: Amount): Promise<Decided> {
    const { count } = await this.#scored.decide(amount);
    const choose = () => this.#choose(amount);
    return {
      choice: null,
      count,
      write: async (directory) => await (await choose()).decided.write(directory),
      writeForGood: async () => {
        const { decided, figures: allocation } = await choose();
        const pruned = await decided.writeForGood();
        return { ...pruned, content: async (repair) => ({ ...(await pruned.content(repair)), allocation }) };
      },
    };
  }

  decideEvenly(...args: Parameters<Scored['decideEvenly']>): Promise<Decided> {
    return this.#scored.decideEvenly(...args);
  }

  #choose(amount: Amount): Promise<Chosen> {
    const key = JSON.stringify(amount);
    const known = this.#chosen.get(key) ?? this.#measureAll(amount);
    this.#chosen.set(key, known);
    return known;
  }

  async #measureAll(amount: Amount): Promise<Chosen> {
    const shared = await this.#scored.share(amount);
    const candidates: AllocationFigures['candidates'] = [];
    for (const { rule, counts } of shared.shares) {
      const same = candidates.find(({ n_keep }) => n_keep.every((count, i) => count === counts[i]));
      const { kl, relative_l2 } = same ?? (await this.#measure(shared, counts));
      candidates.push({ rule, kl, relative_l2, n_keep: [...counts] });
    }
    const by = this.#judge.metricFor(candidates);
    const costs = candidates.map((candidate) => candidate[by] ?? Number.POSITIVE_INFINITY);
    const best = costs.indexOf(Math.min(...costs));
    const { rule } = candidates[best];
    const moves = await this.#move(shared, candidates[best], by);
    const { n_keep } = moves ?? candidates[best];
    return { decided: await shared.decide(n_keep), figures: { rule, by, candidates, moves } };
  }

  /** Moves weights between tensors, again and again, and keeps every move that brings the model nearer to the dense one. */
  async #move(
    shared: SharedTotal,
    { kl, relative_l2, n_keep }: AllocationFigures['candidates'][number],
    by: AllocationFigures['by'],
  ): Promise<AllocationFigures['moves']> {
    const { allocation_moves: n_tried, seed } = this.#job.input.recipe;
    if (n_tried === 0) return null;
    const words = new RandomWords(seed);
    let best = { kl, relative_l2, n_keep, n_kept: 0 };
    for (let move = 0; move < n_tried; move++) {
      const moved = drawMove(best.n_keep, shared.limits, words);
      if (moved === null) continue;
      const measured = await this.#measure(shared, moved);
      const cost = measured[by] ?? Number.POSITIVE_INFINITY;
      if (cost < (best[by] ?? Number.POSITIVE_INFINITY))
        best = { ...measured, n_keep: moved, n_kept: best.n_kept + 1 };
    }
    return { ...best, n_tried };
  }

  async #measure({ decide }: SharedTotal, counts: readonly number[]) {
    const directory = join(this.#job.scratchDirectory, 'shared');
    try {
      const pruned = await (await decide(counts)).write(directory);
      await this.#repairs.apply(pruned);
      return await this.#judge.measure(pruned.model);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judge[Symbol.asyncDispose]();
    await this.#scored[Symbol.asyncDispose]();
  }
}

/** What is scored, with what it keeps shared among the tensors as the recipe asks. */
export async function withAllocation(
  job: PruneJob,
  scored: Scored,
  repairs: Repairs,
  judges: Judges | null,
): Promise<Scored> {
  if (job.input.recipe.allocation !== 'auto') return scored;
  if (!(scored instanceof ScoredWeights)) throw new TypeError('a total of structures to be shared');
  return await SharedWeights.open(job, scored, repairs, judges);
}
