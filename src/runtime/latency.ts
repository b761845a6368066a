import { type Batch, runBatch } from './batches.ts';
import type { ModelSession } from './session.ts';

const WARM_UP_ROUNDS = 2;
/** A median of fewer says nothing; more of a large model would take longer than its evaluation. */
const MIN_ROUNDS = 5;
const MAX_ROUNDS = 201;
const ENOUGH_MS = 1000;

/** Median milliseconds of two models on one batch. */
export interface Latency {
  readonly dense_ms: number;
  readonly pruned_ms: number;
  readonly batch_size: number;
}

/** Runs both sessions in turn on one batch, so that whatever else the machine does meets both. */
export async function measureLatency(
  dense: ModelSession,
  pruned: ModelSession,
  batch: Batch,
  output: string,
  signal: AbortSignal,
): Promise<Latency> {
  const times: { dense: number[]; pruned: number[] } = { dense: [], pruned: [] };
  const time = async (session: ModelSession) => {
    signal.throwIfAborted();
    const start = performance.now();
    await runBatch(session, batch, [output]);
    return performance.now() - start;
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    await time(dense);
    await time(pruned);
  }
  const start = performance.now();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (round >= MIN_ROUNDS && performance.now() - start > ENOUGH_MS) break;
    times.dense.push(await time(dense));
    times.pruned.push(await time(pruned));
  }
  return { dense_ms: median(times.dense), pruned_ms: median(times.pruned), batch_size: batch.count };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
