import { EmpError } from '../core/errors.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { modelInputs, readStoredGraph } from '../graph/interface.ts';
import type { SpeedTargetFigures } from '../report/speed-figures.ts';
import {
  keepsLimit,
  reachedSpeed,
  type SpeedReached,
  type SpeedTarget,
  shareOfAllowed,
} from '../report/speed-judgement.ts';
import { fixedBatchSize } from '../runtime/batches.ts';
import type { Evaluator } from '../runtime/evaluation.ts';
import { type Latency, PATIENT, type Patience, STEADY } from '../runtime/latency.ts';
import { measureOnce } from './measure-once.ts';
import type { PruneJob } from './prune-job.ts';
import type { Decided, Scored } from './scored.ts';
import { type FoundSize, type SizePoint, searchSize } from './search-size.ts';

/** Different models that are timed, at most. */
export const MAX_TIMED = 8;
/** As near below the limit is near enough, and a line through two timings is not followed to its ends: they vary. */
const [CLOSE, MARGIN] = [0.02, 0.15];
/** Others take less where a machine is idle. */
const ALONE_CORES = 0.25;

/** How a job with a target of speed times models. */
export function timingOf({ recipe: { target } }: PruneJob['input'], patience: Patience) {
  return { batchSize: target?.batch_size, patience };
}

/** A model that was timed on the way; its size is the share that it takes of the time that is allowed. */
interface SpeedPoint extends SizePoint, SpeedReached {}

/** How the beta of a target of speed was chosen. */
export interface ChosenSpeed {
  readonly target: SpeedTarget;
  readonly found: FoundSize<SpeedPoint>;
  /** Times the model at a beta, whatever was measured of it before. */
  timeAt(beta: number): Promise<Latency>;
}

/**
 * The largest beta whose model keeps a target of speed, the noise of timings included. Models are timed as they are pruned: repairs change numbers, not shapes.
 * @param evaluator on whose first samples models are timed
 */
export async function chooseSpeed(
  target: SpeedTarget,
  job: PruneJob,
  scored: Scored,
  evaluator: Evaluator,
): Promise<ChosenSpeed> {
  const timer = (patience: Patience) =>
    measureOnce(job, scored, async ({ write }: Decided, directory: string) => {
      const { model, sparsity } = await write(directory);
      const latency = await evaluator.latency(model, timingOf(job.input, patience));
      const reached = reachedSpeed(target, latency.rounds);
      return { sparsity, size: shareOfAllowed(target, reached), ...reached, latency };
    });
  const search = { most: MAX_TIMED, close: CLOSE, margin: MARGIN };
  return {
    target,
    found: await searchSize(1, timer(STEADY), search),
    timeAt: async (beta) => (await timer(PATIENT)(beta)).point.latency,
  };
}

/** What became of it, by a measurement after the search. */
export function speedTargetFigures(
  { target, found }: Pick<ChosenSpeed, 'target' | 'found'>,
  beta: number,
  { rounds, batch_size, other_cores }: Latency,
  { providers, threads }: PruneJob['input']['runtime'],
): SpeedTargetFigures {
  const reached = reachedSpeed(target, rounds);
  return {
    ...target,
    ...reached,
    met: keepsLimit(target, reached),
    beta,
    largest: found.isWithin ? found.point.beta : null,
    ...{ rounds: rounds.pruned.length, batch_size, threads },
    execution_provider: providers.join(', '),
    other_cores,
    alone: other_cores !== null && other_cores < ALONE_CORES,
    evaluations: found.evaluations.map((point) => ({
      ...{ beta: point.beta, sparsity: point.sparsity },
      ...{ reached: point.reached, low: point.low, high: point.high },
    })),
  };
}

/** @throws EmpError `invalid_request` for a batch to be timed that the model or the samples do not have */
export async function refuseBatch({ input: { model, recipe } }: PruneJob, samples: SampleSet): Promise<void> {
  const size = recipe.target?.batch_size;
  if (size === undefined) return;
  const refuse = (message: string) => {
    const path = '/recipe/target/batch_size';
    throw new EmpError('invalid_request', `target.batch_size ${message}`, [{ path, message }]);
  };
  const fixed = fixedBatchSize(modelInputs(await readStoredGraph(model)), samples);
  if (fixed !== null && fixed !== size)
    refuse(`is ${size}, and the model takes ${fixed} at a time: give ${fixed}, or none`);
  if (size > samples.nSamples)
    refuse(
      `is ${size}, and there are ${samples.nSamples} evaluation samples to time it on: give more samples, or a smaller batch`,
    );
}
