import { EmpError } from '../core/errors.ts';
import type { Fetched } from '../formats/numbers.ts';
import { placeOf, type SampleSet } from '../formats/sample-set.ts';
import type { LossKind } from '../graph/label-layout.ts';
import { axisToFront } from './along-axis.ts';
import { type Batch, readBatches, readFirstBatch, runBatch } from './batches.ts';
import { type ComparedOutputs, Drift, type Prediction } from './drift.ts';
import { counts } from './label-checks.ts';
import {
  allFinite,
  divergence,
  divergenceOfProbabilities,
  type Floats,
  SMALLEST,
  toFloats,
} from './model-metrics.ts';
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
  /** The model ends in Sigmoid: what it predicts is a side of 0.5 for each number. */
  readonly isBySide: boolean;
  /** Whether the divergence of its entries as classes is wanted, and what they are; null where it is not. */
  readonly classesAs: 'logits' | 'probabilities' | null;
  /** What of the labels counts; null without labels, and where these are no predictions. */
  readonly labelLoss: LossKind | null;
}

/** How far a pruned model's output is from the dense one's. */
export async function measureDrift(dense: ModelSession, pruned: ModelSession, setup: Setup): Promise<Drift> {
  let drift: Drift | null = null;
  for await (const batch of readBatches(setup.samples, setup.batchSize, setup.signal)) {
    const expected = bySample(await runMeasured(dense, batch, setup.output), setup);
    const numbers = toFloats(expected);
    refuseNonFinite(numbers, batch, setup);
    const changed = bySample(await runMeasured(pruned, batch, setup.output), setup);
    if (`${changed.shape}` !== `${expected.shape}`) {
      throw new EmpError(
        'unsupported_model',
        `output '${setup.output}' has shape [${changed.shape}] after pruning and [${expected.shape}] before: they cannot be compared`,
      );
    }
    const prediction = predictionOf(expected, batch, setup);
    drift ??= new Drift(setup.samples.nSamples, prediction);
    drift.add({
      ...{ dense: numbers, pruned: toFloats(changed), start: batch.start, count: batch.count },
      isCounted: countedBy(batch, numbers.length / prediction.entries, setup),
    });
    setup.onSamples(batch.count);
  }
  return drift ?? new Drift(0, { entries: 1, isBySide: false, divergence: null });
}

/** What an output is like. */
export interface Look {
  readonly positionsPerSample: number;
  /** Null where it was not looked at. */
  readonly prediction: Prediction | null;
}

/** From the shape of the first batch's output. */
export async function lookAtOutput(session: ModelSession, setup: Setup): Promise<Look> {
  const batch = await readFirstBatch(setup.samples, setup.batchSize, setup.signal);
  const fetched = bySample(await runMeasured(session, batch, setup.output), setup);
  const prediction = predictionOf(fetched, batch, setup);
  return { positionsPerSample: fetched.data.length / prediction.entries / batch.count, prediction };
}

/** The output that is measured, of a batch. */
export async function runMeasured(session: ModelSession, batch: Batch, output: string): Promise<Fetched> {
  const fetched = (await runBatch(session, batch, [output])).get(output);
  if (fetched === undefined) throw new TypeError(`no output ${output}`);
  return fetched;
}

/** With the axis that counts samples in front. */
function bySample(fetched: Fetched, { outputAxis }: Setup): Fetched {
  return outputAxis === null ? fetched : axisToFront(fetched, outputAxis);
}

/** The entries of a sample's last axis are one position's; what has no such axis is a number, alone. */
function predictionOf({ shape, dtype }: Fetched, { count }: Batch, setup: Setup): Prediction {
  const { outputAxis, isBySide, classesAs } = setup;
  if (isBySide) return { entries: 1, isBySide, divergence: null };
  const ofSample = outputAxis === null && count === 1 ? shape : shape.slice(1);
  const entries = Math.max(1, ofSample.at(-1) ?? 1);
  const ofLogits: Prediction['divergence'] = (dense, pruned, offset) =>
    divergence(dense, pruned, offset, entries);
  const ofProbabilities: Prediction['divergence'] = (dense, pruned, offset) =>
    divergenceOfProbabilities(dense, pruned, offset, entries, SMALLEST[dtype]);
  const isWanted = classesAs !== null && entries > 1;
  return {
    entries,
    isBySide,
    divergence: isWanted ? (classesAs === 'logits' ? ofLogits : ofProbabilities) : null,
  };
}

/** Of labels that mark what does not count, where there is one for each position. */
function countedBy(
  { labels }: Batch,
  nPositions: number,
  { labelLoss }: Setup,
): ComparedOutputs['isCounted'] {
  if (labels === null || labelLoss === null || labels.length !== nPositions) return null;
  return (position) => counts(labels[position], labelLoss);
}

function refuseNonFinite(numbers: Floats, batch: Batch, { output }: Setup): void {
  if (allFinite(numbers, 0, numbers.length)) return;
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  const sample = Math.floor(index / Math.max(1, numbers.length / batch.count));
  throw notFinite(`output '${output}'`, `sample ${placeOf(batch, batch.start + sample)}`);
}

export function notFinite(title: string, place: string): EmpError {
  return new EmpError('non_finite_activation', `${title} of the dense model is NaN or infinite at ${place}`);
}
