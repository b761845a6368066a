import { medianOf } from '../core/median.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { type Batch, runBatch } from './batches.ts';
import { watchOthers } from './other-cores.ts';
import type { ModelSession, SessionOptions } from './session.ts';

const WARM_UP_ROUNDS = 2;
const MAX_ROUNDS = 201;
const ENOUGH_MS = 1000;

/** How long is measured at least. */
export interface Patience {
  readonly rounds: number;
  readonly ms: number;
}

/** A median of fewer has no interval; more of a large model would take longer than its evaluation. */
const SHORT: Patience = { rounds: 6, ms: 0 };
/** For what is held against a limit: the interval of fewer is wide. */
export const STEADY: Patience = { rounds: 15, ms: 0 };
/** For what is reported of it: the system counts in ticks what others compute. */
export const PATIENT: Patience = { ...STEADY, ms: 250 };

/** Parameters. Of larger models the memory counts, and how a session happens to lie in it does not. */
const OPENED_TWICE = 2 ** 24;

/** Whether a model is opened a second time to be timed against itself; else it is timed against the same session. */
export const isOpenedTwice = ({ inventory }: StoredModel): boolean => inventory.nParameters <= OPENED_TWICE;

/** Of what, and how long. */
export interface LatencyOptions {
  /** Of onnxruntime's optimizations, one that models are served with. */
  readonly level?: Exclude<SessionOptions['graphOptimizationLevel'], 'disabled' | undefined>;
  /** Samples of the batch; as many as figures are measured with unless given. */
  readonly batchSize?: number | undefined;
  readonly patience?: Patience | undefined;
}

/** Median milliseconds of two models on one batch, and what they are of. */
export interface Latency {
  readonly dense_ms: number;
  readonly pruned_ms: number;
  readonly batch_size: number;
  readonly rounds: Rounds;
  /** CPU cores that anything else on the machine took meanwhile, on average; null where the system does not tell. */
  readonly other_cores: number | null;
}

/** Milliseconds of the runs of two models in turn, one of each a round, and one more of the dense model. */
export interface Rounds {
  readonly dense: readonly number[];
  readonly pruned: readonly number[];
  /** The dense model as well, opened anew: by how much it differs from itself is no difference between models. */
  readonly again: readonly number[];
}

/** Runs all sessions in turn on one batch, so that whatever else the machine does meets each. */
export async function measureLatency(
  models: { readonly [series in keyof Rounds]: ModelSession },
  batch: Batch,
  output: string,
  signal: AbortSignal,
  patience: Patience = SHORT,
): Promise<Latency> {
  const rounds: Record<keyof Rounds, number[]> = { dense: [], pruned: [], again: [] };
  const time = async (session: ModelSession) => {
    signal.throwIfAborted();
    const start = performance.now();
    await runBatch(session, batch, [output]);
    return performance.now() - start;
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    await time(models.dense);
    await time(models.pruned);
    await time(models.again);
  }
  const othersSince = watchOthers();
  const start = performance.now();
  for (let round = 0; ; round++) {
    const elapsedMs = performance.now() - start;
    const isEnough = elapsedMs > ENOUGH_MS || round >= MAX_ROUNDS;
    if (isEnough && round >= patience.rounds && elapsedMs >= patience.ms) break;
    rounds.dense.push(await time(models.dense));
    rounds.pruned.push(await time(models.pruned));
    rounds.again.push(await time(models.again));
  }
  return {
    dense_ms: medianOf(rounds.dense),
    pruned_ms: medianOf(rounds.pruned),
    batch_size: batch.count,
    rounds,
    other_cores: othersSince(),
  };
}
