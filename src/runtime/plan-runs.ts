import type { Fetched } from '../formats/numbers.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { findSampleAxis } from '../graph/label-layout.ts';
import { planBatches, readFirstBatch, runBatch } from './batches.ts';
import type { ModelSession } from './session.ts';

/** How a model is run whose output is measured. */
export interface RunPlan {
  readonly batchSize: number;
  /** The axis of the output that counts samples; null where the output of one has none. */
  readonly outputAxis: number | null;
}

/**
 * The samples of a batch as `planBatches` has them, and the axis of the output that follows their number. Labelled samples whose output has no such axis are run
 * one at a time.
 * @throws EmpError as `planBatches`
 */
export async function planRuns(
  session: ModelSession,
  samples: SampleSet,
  output: string,
  signal: AbortSignal,
): Promise<RunPlan> {
  const { size: batchSize, ofOne, ofTwo } = await planBatches(session, samples, [output], signal);
  const shapeIn = (outputs: ReadonlyMap<string, Fetched>) => outputs.get(output)?.shape ?? [];
  if (ofOne === null) {
    const batch = await readFirstBatch(samples, batchSize, signal);
    const shape = shapeIn(await runBatch(session, batch, [output]));
    return { batchSize, outputAxis: findSampleAxis([shape], [batch.count]) };
  }
  const alone = { batchSize: 1, outputAxis: findSampleAxis([shapeIn(ofOne)], [1]) };
  if (ofTwo === null) return alone;
  const shapes = [shapeIn(ofOne), shapeIn(ofTwo)];
  const outputAxis = findSampleAxis(shapes, [1, 2]);
  // A number of rows for each sample is enough to compare outputs by.
  return outputAxis !== null || samples.labels === null ? { batchSize, outputAxis } : alone;
}
