import { createHash } from 'node:crypto';
import { mayBeGuessed } from '../core/binomial.ts';
import { EmpError, type ErrorCode, ofInput, type SampleInput } from '../core/errors.ts';
import { clearedInputs } from '../graph/cleared-inputs.ts';
import { readStoredGraph, readWholeGraph } from '../graph/interface.ts';
import { targetOf } from '../recipe/target.ts';
import { LOSSES, needsLabels } from '../recipe/terms.ts';
import { capitalized, number, percent } from '../report/wording.ts';
import type { Evaluator } from '../runtime/evaluation.ts';
import {
  type LabelsLook,
  lookAtLabels,
  lookAtSamples,
  type Range,
  type SamplesLook,
} from '../runtime/look-at-samples.ts';
import type { PruneJob } from './prune-job.ts';

/** What makes figures of the data doubtful, and what to do about it. */
interface Doubt {
  readonly text: string;
  /** What a job with a target is refused with; null for what only weakens what its report says. */
  readonly code: ErrorCode | null;
}

/** Operators that give NaN and infinite inputs a meaning. */
const READ_NON_FINITE: ReadonlySet<string> = new Set(['IsNaN', 'IsInf']);
/** How much larger the numbers of one set of data may be than those of another of the same kind. */
const ALIKE = 8;
/** Shares of samples that may be copies of others: of a promise, whose tests count on samples that are drawn independently, and of any target. */
const COPIES = { promise: 0.05, target: 0.5 };
/** Of samples that a target is reported of, the share that may be among those that it was searched on. */
const SEEN = 0.01;
/** Inputs up to this are as likely scaled as not. */
const SCALED = 32;

/** What models are measured on. */
type MeasuredData = Exclude<SampleInput, 'calibration'>;

/** A sentence on the data. */
export interface ToldDoubt {
  readonly text: string;
  /** Whether figures of such data mean nothing: a target is refused for them. */
  readonly isGrave: boolean;
}

/** What was seen of the data, sentence by sentence. */
export interface Doubts {
  readonly told: readonly ToldDoubt[];
  readonly ranges: Readonly<Record<MeasuredData, SamplesLook['ranges']>>;
  /** The same for the same evaluation samples, in whatever order. */
  readonly samples: string;
}

/**
 * What onnxruntime is known to compute wrongly of the model, in which figures and calibration would be of another one.
 * @throws EmpError `unsupported_model` for a job with a target
 */
export async function doubtModel({ input }: PruneJob): Promise<string[]> {
  const { model, recipe, calibration, evaluation, runtime } = input;
  if ((!calibration && !evaluation) || runtime.providers[0] !== 'cpu') return [];
  const [node, ...others] = clearedInputs(await readWholeGraph(model));
  if (node === undefined) return [];
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  const text = `onnxruntime on the CPU clears the input of ${node.title}${more} before it reads it, for nothing reads it afterwards: what the model gives is wrong, dense and pruned. Export the model so that something reads it later, as a residual connection does, or run on CUDA`;
  if (targetOf(recipe)) {
    throw new EmpError('unsupported_model', `the model cannot be measured: ${text}`, [
      { path: '/recipe/target', message: 'needs a model that onnxruntime computes as it is meant' },
      ofInput('model', text),
    ]);
  }
  return [`${text}.`];
}

/**
 * What of the inputs does not look like the model's data, or repeats itself: figures on such data would mean nothing, and a target be met by any model.
 * @throws EmpError `samples_mismatch` for a job with a target
 */
export async function doubtInputs(job: PruneJob): Promise<Doubts> {
  const { evaluation, selection, calibration, unusedCalibration } = job.input;
  if (evaluation === null)
    return { told: [], ranges: { evaluation: new Map(), selection: new Map() }, samples: '' };
  const look = await lookAtSamples(evaluation, job.signal);
  const fitted = calibration && (await lookAtSamples(calibration, job.signal));
  const scaled = fitted ?? (unusedCalibration && (await lookAtSamples(unusedCalibration, job.signal)));
  const chosenOn = selection && (await lookAtSamples(selection, job.signal));
  const isPromise = job.input.recipe.target?.confidence !== undefined;
  const told = toldOf(job, 'evaluation', [
    ...(await doubtNumbers(job, look)),
    ...doubtVariety(look, isPromise),
    ...(fitted ? doubtShared(look, fitted, 'calibration', isPromise) : []),
    ...(scaled ? doubtScale(look, scaled, 'calibration') : []),
    ...(chosenOn ? doubtShared(look, chosenOn, 'selection', isPromise) : []),
    ...(chosenOn ? doubtScale(look, chosenOn, 'selection') : []),
  ]);
  // Copies among these make choices worse, and no promise false: it is tested on others.
  const ofChoices = toldOf(job, 'selection', [
    ...(chosenOn ? await doubtNumbers(job, chosenOn) : []),
    ...(chosenOn ? doubtVariety(chosenOn, false) : []),
    ...(chosenOn && fitted ? doubtShared(chosenOn, fitted, 'calibration', false) : []),
    ...(chosenOn && scaled ? doubtScale(chosenOn, scaled, 'calibration') : []),
  ]);
  const ofFit = toldOf(job, 'calibration', fitted ? await doubtNumbers(job, fitted) : []);
  const samples = createHash('sha256')
    .update([...look.digests].sort().join('\n'))
    .digest('hex');
  const ranges = { evaluation: look.ranges, selection: chosenOn?.ranges ?? new Map() };
  return { told: [...told, ...ofChoices, ...ofFit], ranges, samples };
}

/**
 * The same of the labels, by what the dense model makes of them.
 * @param all the dense model on all samples of these data
 * @throws EmpError `invalid_labels` for a job with a target that needs labels
 */
export async function doubtLabels(
  job: PruneJob,
  data: MeasuredData,
  all: Evaluator,
  ranges: SamplesLook['ranges'],
): Promise<readonly ToldDoubt[]> {
  const layout = all.labelLayout;
  if (layout === null) return [];
  const look = await lookAtLabels(all.samples, layout, job.signal);
  return toldOf(job, data, doubtsOfLabels(job, all, look, ranges));
}

function toldOf({ input }: PruneJob, data: SampleInput, doubts: readonly Doubt[]): ToldDoubt[] {
  const refused = targetOf(input.recipe) && doubts.find(({ code }) => code !== null);
  if (refused?.code) {
    throw new EmpError(refused.code, `${data} data: ${refused.text}`, [
      ofInput(data, refused.text),
      { path: '/recipe/target', message: `needs ${data} data like those that the model was made for` },
    ]);
  }
  const told = (text: string) => `${capitalized(data)} data: ${text}.`;
  return doubts.map(({ text, code }) => ({ text: told(text), isGrave: code !== null }));
}

async function doubtNumbers({ input }: PruneJob, { nonFinite }: SamplesLook): Promise<Doubt[]> {
  if (nonFinite === null) return [];
  const { graph } = await readStoredGraph(input.model);
  if (graph.nodes.some(({ op }) => READ_NON_FINITE.has(op))) return [];
  const text = `input '${nonFinite.input}' has a NaN or infinite number at sample ${nonFinite.sample}; leave such samples out, or fill in what is missing`;
  return [{ text, code: 'samples_mismatch' }];
}

function doubtVariety({ nSamples, digests }: SamplesLook, isPromise: boolean): Doubt[] {
  if (digests.size === nSamples) return [];
  if (digests.size === 1) {
    const text = `all ${nSamples} samples are the same: they cannot tell what pruning costs; give samples that differ`;
    return [{ text, code: 'samples_mismatch' }];
  }
  const again = nSamples - digests.size;
  const isTooMany = again > nSamples * (isPromise ? COPIES.promise : COPIES.target);
  const remedy = isTooMany ? '; leave copies out' : '';
  const text = `${again} of ${nSamples} samples are copies of others: they make figures look surer than they are${remedy}`;
  return [{ text, code: isTooMany ? 'samples_mismatch' : null }];
}

/** Figures of labels that the dense model knows no better than a guess say nothing of what pruning costs. */
function doubtsOfLabels(
  { input }: PruneJob,
  all: Evaluator,
  { guess, areOneHot }: LabelsLook,
  ranges: SamplesLook['ranges'],
): Doubt[] {
  const { loss, accuracy } = all.dense;
  const target = targetOf(input.recipe);
  if (guess === null || loss === null) return [];
  const isAsked = target === null || needsLabels(target.name);
  if (areOneHot && all.lossKind === 'mean_squared_error') {
    const text =
      'every label is a row of zeros with a single 1, as one-hot classes are, and would be compared by squared errors; give class ids, as labels.argmax(1) makes them';
    return [{ text, code: isAsked ? 'invalid_labels' : null }];
  }
  const name = LOSSES[all.lossKind ?? 'cross_entropy'];
  const advice = `check that labels and samples are in the same order, and that inputs are scaled as in training (${describeRanges(ranges)})`;
  const isOfAccuracy = target?.name === 'max_accuracy_drop';
  const doubts: Doubt[] = [];
  if (loss >= guess.loss) {
    const text = `the dense model is no better than guessing: its ${name} is ${number(loss)}, and ${number(guess.loss)} is that of the same answer for every sample; ${advice}`;
    // Of a model that is sure of itself the loss says nothing, and the accuracy does. Inputs that are not scaled are wrong for any target, labels for those that ask for them.
    const isRefused = (isAsked && !isOfAccuracy) || [...ranges.values()].some(isLarge);
    doubts.push({ text, code: isRefused ? 'invalid_labels' : null });
  }
  if (
    isOfAccuracy &&
    accuracy !== null &&
    guess.accuracy !== null &&
    mayBeGuessed(accuracy, guess.accuracy, all.nPositions)
  ) {
    const remedy = accuracy > guess.accuracy ? 'give more samples, of every class' : advice;
    const text = `the dense model cannot be told from guessing: its accuracy is ${percent(accuracy)}, and ${percent(guess.accuracy)} is that of the most frequent label, of ${all.nPositions}; ${remedy}`;
    doubts.push({ text, code: 'invalid_labels' });
  }
  return doubts;
}

/** @param isPromise whether the figures are tested */
function doubtShared(
  look: SamplesLook,
  other: SamplesLook,
  data: 'calibration' | 'selection',
  isPromise: boolean,
): Doubt[] {
  const shared = [...look.digests].filter((digest) => other.digests.has(digest)).length;
  if (shared === 0) return [];
  const isSeen = data === 'selection' && shared > SEEN * look.digests.size;
  const done = data === 'calibration' ? 'fitted to' : 'chosen on';
  const text = `${shared} of ${look.digests.size} samples are ${data} samples too: what was ${done} them looks better on them than on others; give other samples`;
  return [{ text, code: isPromise || isSeen ? 'samples_mismatch' : null }];
}

function doubtScale(look: SamplesLook, other: SamplesLook, data: 'calibration' | 'selection'): Doubt[] {
  const doubts: Doubt[] = [];
  for (const [name, range] of look.ranges) {
    const there = other.ranges.get(name);
    if (!there || areAlike(range, there)) continue;
    const text = `input '${name}' is ${describeRange(range)}, and ${describeRange(there)} in the ${data} data; scale both as in training`;
    doubts.push({ text, code: 'samples_mismatch' });
  }
  return doubts;
}

/** By what their numbers are like, not by the largest, which may be a rare one. */
function areAlike({ typical: a }: Range, { typical: b }: Range): boolean {
  return a === null || b === null || Math.max(a, b) <= ALIKE * Math.min(a, b);
}

/** As nothing is that was scaled to the size of 1. */
const isLarge = ({ least, most }: Range): boolean => Math.max(-least, most) > SCALED;

/** As pixels are before they are scaled. */
const isUnscaled = (range: Range): boolean => range.least >= 0 && isLarge(range);

const describeRange = ({ least, most }: Range): string => `from ${number(least)} to ${number(most)}`;

function describeRanges(ranges: SamplesLook['ranges']): string {
  const texts = [...ranges].slice(0, 3).map(([name, range]) => {
    const hint = isUnscaled(range) ? ', where models of images mostly want 0 to 1: divide by 255' : '';
    return `'${name}' is ${describeRange(range)}${hint}`;
  });
  return texts.join('; ') || 'they are whole numbers';
}
