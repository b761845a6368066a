import { betaFor } from './search.ts';

/** A model of a line, at a beta: what is left of the scored, and what its search is to lessen. */
export interface Weighed {
  readonly beta: number;
  readonly sparsity: number;
  readonly amount: number;
}

/** One that was measured too. */
export interface Tried extends Weighed {
  /** By how many of its standard errors it is within the limit; less than 0 beyond it. */
  readonly errorsWithin: number;
}

export interface LineSearch<T extends Tried> {
  /** Prunes and weighs, which costs little. */
  weigh(beta: number): Promise<Weighed>;
  /** Prunes, repairs, weighs and measures. */
  attempt(beta: number): Promise<T>;
  /** The least amount that is known to be within; null where nothing is. */
  readonly bar: number | null;
  /** Models measured at most. */
  readonly most: number;
  /** In standard errors, by which a model is to be within the limit for a sparser one to be looked at. */
  readonly margin: number;
}

/** A line that does not beat what is known by this share is left. */
const LEAST_GAIN = 0.01;
/** What the model that is held against the bar may lie below it. */
const GOAL_WIDTH = 0.03;
const MOST_WEIGHED = 12;
/** Of what is kept, from one step to the next towards sparser models. */
const STRIDE = 0.75;
/** The same, once the margin is given up: it is not worth much. */
const SHORT_STRIDE = 0.9;
/** Of what goes, from one step to the next towards denser ones. */
const RETREAT = 0.6;
/** Less is not worth a model. */
const LEAST_SPARSITY = 0.02;
/** Densities of which one is within and the other is not are told apart to this share. */
const RESOLUTION = 0.03;

/** The dense model, and one of which nothing is left: within every limit, and beyond it. */
const ALL: Weighed = { beta: Number.POSITIVE_INFINITY, sparsity: 0, amount: Number.POSITIVE_INFINITY };
const NOTHING: Weighed = { beta: 0, sparsity: 1, amount: 0 };

/**
 * The models of one line that are worth a look, each sparser than what is known, up to the first that is beyond the limit, and those between. A line is left after one model where that is
 * as large as what is known allows and beyond the limit. One that is within goes on without the margin at last, as far as it is within at all.
 * Loss is not monotone in beta: what is found is within, and a sparser one may be too.
 */
export async function searchLine<T extends Tried>({
  weigh,
  attempt,
  bar,
  most,
  margin,
}: LineSearch<T>): Promise<readonly T[]> {
  const tried: T[] = [];
  const visit = async (beta: number) => {
    const found = await attempt(beta);
    tried.push(found);
    return found;
  };
  const first = bar === null ? 1 : await belowBar(weigh, bar * (1 - LEAST_GAIN));
  if (first === null) return tried;
  let needed = margin;
  let within: Weighed = ALL;
  let beyond: Weighed = NOTHING;
  const isLeft = () => tried.length < most;
  /** Returns whether it lies between what was within and what was beyond. */
  const narrow = async (beta: number) => {
    const found = await visit(beta);
    if (found.sparsity <= within.sparsity || found.sparsity >= beyond.sparsity) return false;
    if (found.errorsWithin >= needed) within = found;
    else beyond = found;
    return true;
  };
  /** To a sparser model that is beyond the limit, then between. */
  const closeIn = async (stride: number) => {
    while (isLeft() && beyond.sparsity === 1) {
      const sparsity = 1 - (1 - within.sparsity) * stride;
      if (!(await narrow(betaFor(sparsity, tried)))) return; // nothing sparser can be had
    }
    while (isLeft()) {
      const [dense, sparse] = [1 - within.sparsity, 1 - beyond.sparsity];
      if (dense / sparse < 1 + RESOLUTION) return;
      if (!(await narrow(betaFor(1 - Math.sqrt(dense * sparse), tried)))) return;
    }
  };
  const start = await visit(first);
  if (start.errorsWithin >= needed) within = start;
  else if (bar === null) beyond = start;
  else if (start.errorsWithin < 0) return tried;
  while (isLeft() && beyond.sparsity < 1 && within.sparsity === 0) {
    const sparsity = beyond.sparsity * RETREAT;
    if (sparsity < LEAST_SPARSITY || !(await narrow(betaFor(sparsity, tried)))) return tried;
  }
  if (within.sparsity > 0) await closeIn(STRIDE);
  if (margin === 0) return tried;
  needed = 0;
  within = sparsest(tried.filter(({ errorsWithin }) => errorsWithin >= 0));
  if (within.sparsity === 0) return tried;
  beyond = densest(tried.filter((one) => one.errorsWithin < 0 && one.sparsity > within.sparsity));
  await closeIn(SHORT_STRIDE);
  return tried;
}

function sparsest(models: readonly Weighed[]): Weighed {
  return models.reduce((best, one) => (one.sparsity > best.sparsity ? one : best), ALL);
}

function densest(models: readonly Weighed[]): Weighed {
  return models.reduce((best, one) => (one.sparsity < best.sparsity ? one : best), NOTHING);
}

/** The largest beta, about, of which the model's amount is `goal` at most; null where no model's is. */
async function belowBar(weigh: LineSearch<Tried>['weigh'], goal: number): Promise<number | null> {
  let below: Weighed | null = null;
  let above: Weighed | null = null;
  let beta = 1;
  for (let i = 0; i < MOST_WEIGHED; i++) {
    const weighed = await weigh(beta);
    if (weighed.amount <= goal) below = weighed;
    else above = weighed;
    if (below && (below.amount >= goal * (1 - GOAL_WIDTH) || below.sparsity < LEAST_SPARSITY)) break;
    if (below && above) beta = Math.sqrt(below.beta * above.beta);
    else beta = below ? beta * 2 : beta / 2;
  }
  return below?.beta ?? null;
}
