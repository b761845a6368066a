import { EmpError } from '../core/errors.ts';
import { elementCount } from '../formats/model.ts';
import type { Fetched } from '../formats/numbers.ts';
import { placeOf, type SampleSet } from '../formats/sample-set.ts';
import { type Batch, readBatches, readFirstBatch, runBatch } from './batches.ts';
import { Drift } from './drift.ts';
import { allFinite, type Floats, toFloats } from './model-metrics.ts';
import type { ModelRun } from './model-run.ts';
import type { ModelSession } from './session.ts';

/** How every model is run that is measured. */
export interface Setup extends ModelRun {
  readonly samples: SampleSet;
  /** Name of the output measured. */
  readonly output: string;
  readonly batchSize: number;
  /** The axis of the output that counts samples; null where the output of one has none. */
  readonly outputAxis: number | null;
}

/** How far a pruned model's output is from the dense one's. */
export async function measureDrift(dense: ModelSession, pruned: ModelSession, setup: Setup): Promise<Drift> {
  const drift = new Drift(setup.samples.nSamples);
  for await (const batch of readBatches(setup.samples, setup.batchSize, setup.signal)) {
    const expected = await runMeasured(dense, batch, setup.output);
    const numbers = toFloats(expected);
    refuseNonFinite(expected, numbers, batch, setup);
    const changed = await runMeasured(pruned, batch, setup.output);
    if (`${changed.shape}` !== `${expected.shape}`) {
      throw new EmpError(
        'unsupported_model',
        `output '${setup.output}' has shape [${changed.shape}] after pruning and [${expected.shape}] before: they cannot be compared`,
      );
    }
    const { start, count } = batch;
    drift.add({
      dense: numbers,
      pruned: toFloats(changed),
      classes: classesOf(expected),
      start,
      count,
      stride: strideOf(expected, batch, setup),
    });
    setup.onSamples(batch.count);
  }
  return drift;
}

/** What an output is like. */
export interface Look {
  readonly positionsPerSample: number;
  /** Entries of each; null where it was not looked at. */
  readonly classes: number | null;
}

/** From the shape of the first batch's output. */
export async function lookAtOutput(session: ModelSession, setup: Setup): Promise<Look> {
  const batch = await readFirstBatch(setup.samples, setup.batchSize, setup.signal);
  const fetched = await runMeasured(session, batch, setup.output);
  const classes = classesOf(fetched);
  return { positionsPerSample: fetched.data.length / Math.max(1, classes) / batch.count, classes };
}

/** The output that is measured, of a batch. */
export async function runMeasured(session: ModelSession, batch: Batch, output: string): Promise<Fetched> {
  const fetched = (await runBatch(session, batch, [output])).get(output);
  if (fetched === undefined) throw new TypeError(`no output ${output}`);
  return fetched;
}

/** Entries of the last axis; a value of rank 0 or 1 has one per sample. */
function classesOf({ shape }: Fetched): number {
  return shape.length > 1 ? shape[shape.length - 1] : 1;
}

/** Numbers of an output that lie together of a sample. */
function strideOf({ shape, data }: Fetched, { count }: Batch, { outputAxis }: Setup): number {
  return outputAxis ? elementCount(shape.slice(outputAxis + 1)) : Math.max(1, Math.ceil(data.length / count));
}

function refuseNonFinite(fetched: Fetched, numbers: Floats, batch: Batch, setup: Setup): void {
  if (allFinite(numbers, 0, numbers.length)) return;
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  const sample = Math.floor(index / strideOf(fetched, batch, setup)) % batch.count;
  throw notFinite(`output '${setup.output}'`, `sample ${placeOf(batch, batch.start + sample)}`);
}

export function notFinite(title: string, place: string): EmpError {
  return new EmpError('non_finite_activation', `${title} of the dense model is NaN or infinite at ${place}`);
}
