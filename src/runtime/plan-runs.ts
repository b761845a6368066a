import type { Fetched } from '../formats/numbers.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { OnnxInput } from '../graph/interface.ts';
import { findSampleAxis } from '../graph/label-layout.ts';
import { followsSamples, planBatches, readFirstBatch, runBatch } from './batches.ts';
import { declaredSampleAxis } from './sample-axes.ts';
import type { ModelSession, ModelValue } from './session.ts';

/** An output that is measured. */
export interface RunOutput {
  readonly name: string;
  /** The axis of it that counts samples; null where the output of one has none. */
  readonly axis: number | null;
}

/** How a model is run whose outputs are measured. */
export interface RunPlan {
  readonly batchSize: number;
  /** At least one. */
  readonly outputs: readonly [RunOutput, ...RunOutput[]];
}

/**
 * The samples of a batch as `planBatches` has them, and the axes of the outputs that follow their number. Labelled samples whose output has no such axis are run
 * one at a time.
 * @param names of outputs: the first is measured in any case with labels, and without them unless it does not follow the samples and another does; of
 * the others those that have the samples on an axis
 * @throws EmpError as `planBatches`
 */
export async function planRuns(
  session: ModelSession,
  samples: SampleSet,
  names: readonly string[],
  signal: AbortSignal,
): Promise<RunPlan> {
  const { size: batchSize, ofOne, ofTwo } = await planBatches(session, samples, names, signal);
  const plan = (size: number, runs: readonly Run[]): RunPlan => {
    const found = names.map((name) => ({ name, axis: axisIn(runs, name) }));
    const [first] = found;
    const others = found
      .slice(1)
      .filter(({ name, axis }) => axis !== null && isDeclared(session, name, axis, runs));
    const isLeftOut = samples.labels === null && first.axis === null && !hasRows(runs, first.name);
    const [next, ...rest] = others;
    return { batchSize: size, outputs: isLeftOut && next ? [next, ...rest] : [first, ...others] };
  };
  if (ofOne === null) {
    const batch = await readFirstBatch(samples, batchSize, signal);
    return plan(batchSize, [{ outputs: await runBatch(session, batch, names), count: batch.count }]);
  }
  const one = { outputs: ofOne, count: 1 };
  const alone = () => plan(1, [one]);
  if (ofTwo === null) return alone();
  const planned = plan(batchSize, [one, { outputs: ofTwo, count: 2 }]);
  // A number of rows for each sample is enough to compare outputs by.
  return planned.outputs[0].axis !== null || samples.labels === null ? planned : alone();
}

/** What a model gives of so many samples. */
interface Run {
  readonly outputs: ReadonlyMap<string, Fetched>;
  readonly count: number;
}

function axisIn(runs: readonly Run[], name: string): number | null {
  return findSampleAxis(
    runs.map(({ outputs }) => outputs.get(name)?.shape ?? []),
    runs.map(({ count }) => count),
  );
}

/** Whether it has rows that follow the samples, as far as two runs tell. */
function hasRows([one, two]: readonly Run[], name: string): boolean {
  return two === undefined || followsSamples(one.outputs.get(name), two.outputs.get(name));
}

/**
 * Whether an axis that has the samples' number in the one run that there was is declared so: what a sample decides the size of, such as boxes that are found, may
 * have it by chance.
 */
function isDeclared(
  { inputs, outputs }: ModelSession,
  name: string,
  axis: number,
  runs: readonly Run[],
): boolean {
  if (runs.length > 1) return true;
  const declared = outputs.find((output) => output.name === name);
  const size = declared?.dims[axis];
  if (declared === undefined || typeof size === 'number') return declared !== undefined;
  return declaredSampleAxis(asDeclared(declared), inputs.map(asDeclared)) === axis;
}

function asDeclared({ name, dtype, dims }: ModelValue): OnnxInput {
  return { name, dtype, dims };
}
