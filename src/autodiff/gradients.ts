import { EmpError } from '../core/errors.ts';
import { elementCount } from '../formats/model.ts';
import { float32Of } from '../formats/numbers.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import { type Batch, nameSamples, readBatches, repeatSample, runBatch } from '../runtime/batches.ts';
import { openSession } from '../runtime/session.ts';
import { splitPasses } from '../runtime/split-passes.ts';
import type { GradientGraph } from './gradient-graph.ts';
import {
  GRADIENT_SESSION,
  type GradientContext,
  type GradientSetup,
  gradientBatchSize,
  gradientGraphOf,
  lossFeeds,
  noneCounts,
  setUpGradients,
  weightShape,
} from './gradient-setup.ts';
import { writePrepared } from './prepare.ts';

/**
 * What is made of the gradients of all samples. `mean`: the gradient of the mean loss over all positions that count. `rms`: of every sample's
 * gradient of its own mean loss, the root mean square over the samples that count; samples run one at a time, so that it takes as many passes over the weights
 * as there are samples (times the samples that the model takes at a time, where their number is fixed).
 */
export type GradientStatistic = 'mean' | 'rms';

/** Of one weight, in the order of its stored elements. */
export interface WeightGradient {
  readonly weight: string;
  readonly values: Float64Array;
}

/** What is added up at a time, 8 bytes an element: 32 million weights. */
const MAX_HELD_BYTES = 256 * 2 ** 20;

/**
 * Gradients of the loss with respect to `weights` (names of the model's inventory), in their order, added up in float64 over all samples, so that
 * the size of batches does not matter. Where they exceed `maxHeldBytes`, they come from several passes over the samples, each for as many weights as fit, one at least.
 * What is yielded is not kept.
 * @throws EmpError unsupported_model naming every node that has no gradient rule; samples_mismatch, invalid_labels, model_run_failed; non_finite_activation naming the
 * weight and the samples; the signal's reason when aborted
 */
export async function* accumulateGradients(
  weights: readonly string[],
  statistic: GradientStatistic,
  context: GradientContext,
  maxHeldBytes = MAX_HELD_BYTES,
): AsyncGenerator<WeightGradient> {
  await using scratch = await makeScratchFolder(context.scratchDirectory, 'gradients-');
  const setup = await setUpGradients(context, scratch.path);
  const groups = splitGroups(weights, setup, maxHeldBytes);
  if (groups.length > 1) gradientGraphOf(weights, setup); // names all blocking nodes before anything runs
  for (const group of groups) {
    for (const [weight, values] of await addUp(gradientGraphOf(group, setup), statistic, setup))
      yield { weight, values };
  }
}

/**
 * Shows the gradient of every sample's own mean loss with respect to each of `weights`, those of one pass sample by sample; where the weights exceed `maxHeldBytes`, in several passes,
 * each for some of them: the gradient is `scale * sums`. A weight that the loss does not depend on is not shown. Numbers shown are not kept.
 * @returns how many samples count
 * @throws EmpError as `accumulateGradients`
 */
export async function visitSampleGradients(
  weights: readonly string[],
  context: GradientContext,
  visit: (sample: number, weight: string, sums: Float32Array, scale: number) => void,
  maxHeldBytes = MAX_HELD_BYTES,
): Promise<number> {
  await using scratch = await makeScratchFolder(context.scratchDirectory, 'gradients-');
  const setup = await setUpGradients(context, scratch.path);
  let total = 0;
  for (const group of splitGroups(weights, setup, maxHeldBytes)) {
    total = 0;
    await runPass(gradientGraphOf(group, setup), true, setup, (batch, count, gradients) => {
      total += 1;
      for (const [weight, numbers] of gradients) {
        if (!Number.isFinite(sumOf(numbers))) throw notFinite(weight, batch);
        visit(batch.start, weight, numbers, 1 / count);
      }
    });
  }
  if (total === 0) throw noneCounts();
  return total;
}

function splitGroups(weights: readonly string[], setup: GradientSetup, maxHeldBytes: number): string[][] {
  const bytesOf = (weight: string) =>
    elementCount(weightShape(weight, setup)) * Float64Array.BYTES_PER_ELEMENT;
  return splitPasses(weights, bytesOf, maxHeldBytes);
}

/** Takes the gradients of one batch, of the loss summed over the `count` positions that count. */
type TakeGradients = (batch: Batch, count: number, gradients: ReadonlyMap<string, Float32Array>) => void;

/** One pass over the samples, in batches of their own size or one by one. Weights that the loss does not depend on are left out. */
async function runPass(
  { proto, loss, gradients }: GradientGraph,
  bySample: boolean,
  setup: GradientSetup,
  take: TakeGradients,
): Promise<void> {
  const { context, prepared, facts, fixedBatch } = setup;
  const { samples, runtime, signal } = context;
  const reached = [...gradients].filter((entry): entry is [string, string] => entry[1] !== null);
  const fetches = [loss.count, ...reached.map(([, gradient]) => gradient)];
  const path = await writePrepared(prepared, proto, 'gradients');
  await using session = await openSession(path, runtime, GRADIENT_SESSION);
  const batchSize = bySample ? 1 : gradientBatchSize(setup, facts.elements);
  for await (const batch of readBatches(samples, batchSize, signal)) {
    const run = bySample && fixedBatch !== null ? repeatSample(batch, fixedBatch, samples) : batch;
    const results = await runBatch(session, { ...run, feeds: lossFeeds(run, setup, loss) }, fetches);
    const count = Number(results.get(loss.count)?.data[0]);
    if (count > 0) {
      take(batch, count, new Map(reached.map(([weight, name]) => [weight, float32Of(results.get(name))])));
    }
    context.onSamples(batch.count);
  }
}

/** One pass over the samples. */
async function addUp(
  graph: GradientGraph,
  statistic: GradientStatistic,
  setup: GradientSetup,
): Promise<Map<string, Float64Array>> {
  const isMean = statistic === 'mean';
  const sums = new Map(
    [...graph.gradients.keys()].map((weight) => [
      weight,
      new Float64Array(elementCount(weightShape(weight, setup))),
    ]),
  );
  let total = 0;
  await runPass(graph, !isMean, setup, (batch, count, gradients) => {
    total += isMean ? count : 1;
    for (const [weight, numbers] of gradients) {
      const sum = sums.get(weight) ?? new Float64Array();
      const check = isMean ? add(sum, numbers) : addSquares(sum, numbers, 1 / count);
      if (!Number.isFinite(check)) throw notFinite(weight, batch);
    }
  });
  if (total === 0) throw noneCounts();
  for (const sum of sums.values()) {
    for (let i = 0; i < sum.length; i++) sum[i] = isMean ? sum[i] / total : Math.sqrt(sum[i] / total);
  }
  return sums;
}

/** What is finite only if all terms are. */
function sumOf(terms: Float32Array): number {
  let sum = 0;
  for (const term of terms) sum += term;
  return sum;
}

/** Adds `terms` to `sums` and returns what is finite only if all terms are. */
function add(sums: Float64Array, terms: Float32Array): number {
  let check = 0;
  for (let i = 0; i < sums.length; i++) {
    sums[i] += terms[i];
    check += terms[i];
  }
  return check;
}

/** Likewise, the squares of `scale * terms`. */
function addSquares(sums: Float64Array, terms: Float32Array, scale: number): number {
  let check = 0;
  for (let i = 0; i < sums.length; i++) {
    const term = terms[i] * scale;
    sums[i] += term * term;
    check += term;
  }
  return check;
}

function notFinite(weight: string, batch: Batch): EmpError {
  const message = `its gradient has NaN or infinite numbers for ${nameSamples(batch)}`;
  return new EmpError('non_finite_activation', `${weight}: ${message}`, [{ path: weight, message }]);
}
