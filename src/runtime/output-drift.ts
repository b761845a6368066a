import { EmpError } from '../core/errors.ts';
import { type Fetched, present } from '../formats/numbers.ts';
import { placeOf, type SampleSet } from '../formats/sample-set.ts';
import type { LossKind } from '../graph/label-layout.ts';
import { axisToFront } from './along-axis.ts';
import { type Batch, readBatches, readFirstBatch, runBatch } from './batches.ts';
import { type ComparedOutputs, Drift, type DriftErrors, type Prediction } from './drift.ts';
import { counts } from './label-checks.ts';
import type { LabelErrors } from './label-scores.ts';
import {
  allFinite,
  divergence,
  divergenceOfProbabilities,
  type Floats,
  SMALLEST,
  toFloats,
} from './model-metrics.ts';
import type { ModelRun } from './model-run.ts';
import type { RunOutput } from './plan-runs.ts';
import type { ModelSession } from './session.ts';

/** How every model is run that is measured. */
export interface Setup extends ModelRun {
  readonly samples: SampleSet;
  /** Name of the output that labels go with. */
  readonly output: string;
  readonly batchSize: number;
  /** The axis of that output that counts samples; null where the output of one has none. */
  readonly outputAxis: number | null;
}

/** One of the outputs on which models are compared with each other. */
export interface ComparedOutput extends RunOutput {
  /** A Sigmoid makes it: what it predicts is a side of 0.5 for each number. */
  readonly isBySide: boolean;
  /** Whether the divergence of its entries as classes is wanted, and what they are; null where it is not. */
  readonly classesAs: 'logits' | 'probabilities' | null;
  /** Whether the directions of its vectors are to be compared. */
  readonly wantsDirections: boolean;
  /** What of the labels counts in it; null where no labels go with it, and where these are no predictions. */
  readonly labelLoss: LossKind | null;
}

/** How far a pruned model's outputs are from the dense one's: a drift for each, in their order. */
export async function measureDrift(
  dense: ModelSession,
  pruned: ModelSession,
  outputs: readonly ComparedOutput[],
  setup: Setup,
): Promise<Drift[]> {
  const drifts: Drift[] = [];
  for await (const batch of readBatches(setup.samples, setup.batchSize, setup.signal)) {
    const expected = await runBySample(dense, batch, outputs);
    const numbers = expected.map(toFloats);
    for (const [place, output] of outputs.entries()) refuseNonFinite(numbers[place], batch, output);
    const changed = await runBySample(pruned, batch, outputs);
    for (const [place, output] of outputs.entries()) {
      const [{ shape }, after] = [expected[place], changed[place]];
      if (`${after.shape}` !== `${shape}`) {
        throw new EmpError(
          'unsupported_model',
          `output '${output.name}' has shape [${after.shape}] after pruning and [${shape}] before: they cannot be compared`,
        );
      }
      const prediction = predictionOf(expected[place], batch, output);
      drifts[place] ??= new Drift(setup.samples.nSamples, prediction);
      drifts[place].add({
        ...{ dense: numbers[place], pruned: toFloats(after), start: batch.start, count: batch.count },
        isCounted: countedBy(batch, numbers[place].length / prediction.entries, output),
      });
    }
    setup.onSamples(batch.count);
  }
  return outputs.map((_, place) => drifts[place] ?? new Drift(0, NO_PREDICTION));
}

const NO_PREDICTION: Prediction = { entries: 1, isBySide: false, divergence: null, vector: null };

/** What an output is like. */
export interface Look {
  readonly positionsPerSample: number;
  readonly prediction: Prediction;
}

/** From the shapes of the first batch's outputs; one for each, in their order. */
export async function lookAtOutputs(
  session: ModelSession,
  outputs: readonly ComparedOutput[],
  setup: Setup,
): Promise<Look[]> {
  const batch = await readFirstBatch(setup.samples, setup.batchSize, setup.signal);
  const fetched = await runBySample(session, batch, outputs);
  return fetched.map((each, place) => {
    const prediction = predictionOf(each, batch, outputs[place]);
    return { positionsPerSample: each.data.length / prediction.entries / batch.count, prediction };
  });
}

/** One output, of a batch. */
export async function runMeasured(session: ModelSession, batch: Batch, output: string): Promise<Fetched> {
  return present((await runBatch(session, batch, [output])).get(output));
}

/** With the axes that count samples in front. */
async function runBySample(
  session: ModelSession,
  batch: Batch,
  outputs: readonly RunOutput[],
): Promise<Fetched[]> {
  const fetched = await runBatch(
    session,
    batch,
    outputs.map(({ name }) => name),
  );
  return outputs.map(({ name, axis }) => {
    const output = present(fetched.get(name));
    return axis === null ? output : axisToFront(output, axis);
  });
}

/** The entries of a sample's last axis are one position's; what has no such axis is a number, alone. */
function predictionOf({ shape, dtype }: Fetched, { count }: Batch, output: ComparedOutput): Prediction {
  const { axis, isBySide, classesAs, wantsDirections } = output;
  const ofSample = axis === null && count === 1 ? shape : shape.slice(1);
  const entries = Math.max(1, ofSample.at(-1) ?? 1);
  const vector = wantsDirections && entries > 1 ? entries : null;
  if (isBySide) return { entries: 1, isBySide, divergence: null, vector };
  const ofLogits: Prediction['divergence'] = (dense, pruned, offset) =>
    divergence(dense, pruned, offset, entries);
  const ofProbabilities: Prediction['divergence'] = (dense, pruned, offset) =>
    divergenceOfProbabilities(dense, pruned, offset, entries, SMALLEST[dtype]);
  const isWanted = classesAs !== null && entries > 1;
  return {
    entries,
    isBySide,
    divergence: isWanted ? (classesAs === 'logits' ? ofLogits : ofProbabilities) : null,
    vector,
  };
}

/** Of labels that mark what does not count, where there is one for each position. */
function countedBy(
  { labels }: Batch,
  nPositions: number,
  { labelLoss }: ComparedOutput,
): ComparedOutputs['isCounted'] {
  if (labels === null || labelLoss === null || labels.length !== nPositions) return null;
  return (position) => counts(labels[position], labelLoss);
}

function refuseNonFinite(numbers: Floats, batch: Batch, { name }: RunOutput): void {
  if (allFinite(numbers, 0, numbers.length)) return;
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  const sample = Math.floor(index / Math.max(1, numbers.length / batch.count));
  throw notFinite(`output '${name}'`, `sample ${placeOf(batch, batch.start + sample)}`);
}

export function notFinite(title: string, place: string): EmpError {
  return new EmpError(
    'non_finite_activation',
    `${title} of the dense model is NaN or infinite at ${place}: check how the data are scaled, or leave that sample out`,
  );
}

export function lossTooLarge(): EmpError {
  return new EmpError(
    'non_finite_activation',
    'the loss of the dense model is too large for a float64: are the data and labels scaled as the model expects?',
  );
}

/** Of a model of which nothing was measured. */
export const NO_ERRORS: LabelErrors & DriftErrors = {
  loss_increase_standard_error: null,
  accuracy_drop_standard_error: null,
  disagreement_standard_error: null,
  relative_l2_standard_error: null,
  kl_standard_error: null,
  cosine_distance_standard_error: null,
};
