import type { Fetched } from '../../src/formats/numbers.ts';
import type { Feeds, ModelSession } from '../../src/runtime/session.ts';
import type { RandomNumbers } from './random-numbers.ts';
import type { WeightGradient } from './weight-gradients.ts';

/**
 * Half the distance of the two points of a difference, relative to the weights, of which more move less far. In float64 it may be so small that hardly a unit meets a kink on the way
 * and the third derivative does not count; at a sixteenth, rounding shows in the faintest weights of large models.
 */
const STEP = 2 ** -20;
/** Of each weight by itself, and of all together. */
const DIRECTIONS = 2;
/** So that zeros move too: of a tensor's root mean square. */
const LEAST_MOVE = 0.01;

/** The largest error of a directional derivative, infinite where one is no number, relative to the root mean square of those along the same weight. */
export interface WorstError {
  readonly weight: string;
  readonly error: number;
}

/** The scalar `sum factor * value` of a model that computes in float64 and takes its weights as inputs. */
export class WeightFunction {
  readonly #session: ModelSession;
  readonly #factors: ReadonlyMap<string, Fetched>;
  readonly #feeds: Feeds;

  /** `weights` at the point, and what else the model is fed. */
  constructor(
    session: ModelSession,
    factors: ReadonlyMap<string, Fetched>,
    weights: readonly WeightGradient[],
    feeds: Feeds,
  ) {
    this.#session = session;
    this.#factors = factors;
    this.#feeds = new Map([
      ...[...feeds].map(([name, fed]): [string, Fetched] => [name, widened(fed)]),
      ...weights.map(({ value, shape, numbers }): [string, Fetched] => [
        value,
        { dtype: 'float64', shape, data: Float64Array.from(numbers) },
      ]),
    ]);
  }

  /** The values that the factors belong to. */
  values(): Promise<ReadonlyMap<string, Fetched>> {
    return this.#session.run(this.#feeds, [...this.#factors.keys()]);
  }

  /** By how much the scalar grows on the way from `-step` to `+step`, in the weights named by their values. */
  async change(steps: ReadonlyMap<string, Float64Array>): Promise<number> {
    const names = [...this.#factors.keys()];
    const [plus, minus] = [await this.#run(steps, 1, names), await this.#run(steps, -1, names)];
    let change = 0;
    for (const [name, { data: factors }] of this.#factors) {
      const [a, b] = [plus, minus].map((results) => results.get(name)?.data ?? []);
      for (const [i, factor] of factors.entries()) change += Number(factor) * (Number(a[i]) - Number(b[i]));
    }
    return change;
  }

  #run(steps: ReadonlyMap<string, Float64Array>, sign: 1 | -1, names: readonly string[]) {
    const moved = [...steps].map(([name, step]): [string, Fetched] => {
      const fed = this.#feeds.get(name);
      if (fed === undefined) throw new TypeError(`no weight ${name}`);
      return [name, { ...fed, data: step.map((offset, i) => Number(fed.data[i]) + sign * offset) }];
    });
    return this.#session.run(new Map([...this.#feeds, ...moved]), names);
  }
}

/** Holds the gradients against central differences along random directions: of every weight by itself, then of all together. */
export async function findWorstError(
  scalar: WeightFunction,
  weights: readonly WeightGradient[],
  random: RandomNumbers,
): Promise<WorstError> {
  const groups = weights.map((weight): [string, WeightGradient[]] => [weight.weight, [weight]]);
  let worst: WorstError = { weight: '', error: 0 };
  for (const [weight, group] of [...groups, ['all together', [...weights]] as const]) {
    const error = await groupError(scalar, group, random);
    if (error > worst.error) worst = { weight, error };
  }
  return worst;
}

async function groupError(
  scalar: WeightFunction,
  group: readonly WeightGradient[],
  random: RandomNumbers,
): Promise<number> {
  const derivatives = [];
  for (let count = 0; count < DIRECTIONS; count++) {
    const steps = new Map(
      group.map(({ value, numbers }) => [value, drawStep(numbers, STEP / Math.sqrt(group.length), random)]),
    );
    let found = 0;
    for (const { value, gradient } of group) {
      const step = steps.get(value) ?? [];
      for (const [i, number] of gradient.entries()) found += 2 * number * step[i];
    }
    derivatives.push({ found, expected: await scalar.change(steps) });
  }
  const rms = Math.sqrt(derivatives.reduce((sum, { expected }) => sum + expected ** 2, 0) / DIRECTIONS);
  const errors = derivatives.map(({ found, expected }) => Math.abs(found - expected));
  const error = Math.max(...errors) / (rms || 1);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** In proportion to each number, which for variances matters. */
function drawStep(numbers: Float32Array, length: number, random: RandomNumbers): Float64Array {
  const rms = Math.sqrt(numbers.reduce((sum, number) => sum + number ** 2, 0) / numbers.length);
  const least = LEAST_MOVE * (rms || 1);
  return Float64Array.from(numbers, (number) => {
    const sign = random.next() < 0.5 ? -1 : 1;
    return sign * (0.5 + random.next() / 2) * (Math.abs(number) + least) * length;
  });
}

function widened(fed: Fetched): Fetched {
  return fed.dtype === 'float32'
    ? { ...fed, dtype: 'float64', data: Float64Array.from(fed.data, Number) }
    : fed;
}
