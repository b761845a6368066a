import { EmpError } from '../core/errors.ts';
import { elementCount } from '../formats/model.ts';
import { placeOf } from '../formats/sample-set.ts';
import type { Size } from './value-facts.ts';

export type LossKind = 'cross_entropy' | 'binary_cross_entropy' | 'mean_squared_error';

/** Where the labels of a batch lie among all: its first sample, and the samples' order as their set has it. */
export interface LabelledBatch {
  readonly start: number;
  readonly order?: Uint32Array | undefined;
}

/** All labels, axis 0 the samples. */
export interface Labels {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** An output as far as it is known. */
export interface LabelledValue {
  readonly name: string;
  readonly shape: readonly Size[];
  /** The operator that made its numbers, as `finalNode` finds it. */
  readonly finalOp: string | null;
}

/** How the labels of a sample and the output's numbers go together, both row-major. */
export interface LabelLayout {
  readonly loss: LossKind;
  /** Of the labels of one sample. */
  readonly labelShape: readonly number[];
  /** Numbers of the output for each label: the classes of a class id, else 1. */
  readonly classes: number;
  /** Class ids by position, of an output `[samples, positions, classes]`. */
  readonly isSequence: boolean;
}

/** The shape of an output whose numbers are put in order by sample, which `axis` counts; null where the output of a sample has no such axis. */
export function shapeBySample<S extends Size>(shape: readonly S[], axis: number | null): readonly (S | 1)[] {
  return axis === null ? [1, ...shape] : [shape[axis], ...shape.toSpliced(axis, 1)];
}

/**
 * The axis of a value that counts samples, by its shapes in runs on so many of them: it has their number, and no other axis differs. Null where there is none.
 */
export function findSampleAxis(
  shapes: readonly (readonly number[])[],
  counts: readonly number[],
): number | null {
  const [first] = shapes;
  if (shapes.some(({ length }) => length !== first.length)) return null;
  const isCount = (axis: number) => shapes.every((shape, run) => shape[axis] === counts[run]);
  const isSame = (axis: number) => shapes.every((shape) => shape[axis] === first[axis]);
  const axis = first.findIndex((_, place) => isCount(place));
  return axis >= 0 && first.every((_, place) => place === axis || isSame(place)) ? axis : null;
}

/**
 * Which axis of labels counts their samples: that of the output, or the first.
 * @throws EmpError samples_mismatch where neither does
 */
export function findLabelAxis(
  { shape }: Pick<Labels, 'shape'>,
  nSamples: number,
  outputAxis: number | null,
): number {
  if (outputAxis !== null && shape[outputAxis] === nSamples) return outputAxis;
  if (shape[0] === nSamples) return 0;
  throw new EmpError(
    'samples_mismatch',
    `there are ${nSamples} samples and labels [${shape}]: expected ${nSamples} along the first axis, or along that of the output`,
  );
}

/**
 * What the loss is: labels with the output's sizes are numbers, for binary cross-entropy where the model ends in Sigmoid, else for squared errors if
 * they are floats. All others are class ids over the output's last axis, whatever their dtype, for cross-entropy.
 * @throws EmpError samples_mismatch where labels and output do not go together
 */
export function chooseLoss(output: LabelledValue, labels: Labels): LossKind {
  if (sameSizes(output.shape, labels.shape)) {
    if (output.finalOp === 'Sigmoid') return 'binary_cross_entropy';
    if (labels.dtype.startsWith('float')) return 'mean_squared_error';
  }
  if (isClassIds(output.shape, labels.shape)) return 'cross_entropy';
  throw mismatch(output, labels);
}

/** @param shape of the output; where labels are class ids, its last axis has a fixed size */
export function layOut(loss: LossKind, shape: readonly Size[], labels: Labels): LabelLayout {
  const labelShape = labels.shape.slice(1);
  return loss === 'cross_entropy'
    ? { loss, labelShape, classes: Number(shape.at(-1)), isSequence: shape.length === 3 }
    : { loss, labelShape, classes: 1, isSequence: false };
}

/**
 * What errors call the sample, and the place in it, of a batch's label; both count from 0.
 * @param batch its first sample, and where the samples lie
 */
export function nameLabel(
  index: number,
  batch: LabelledBatch,
  { labelShape }: Pick<LabelLayout, 'labelShape'>,
): string {
  const perSample = elementCount(labelShape);
  const sample = `sample ${placeOf(batch, batch.start + Math.floor(index / perSample))}`;
  if (perSample === 1) return sample;
  const place: number[] = [];
  let rest = index % perSample;
  for (const size of labelShape.toReversed()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `${sample}, position ${place.length === 1 ? place[0] : `[${place}]`}`;
}

/** Sizes that the model leaves open fit any; axes of size 1 at the end do not count. */
function sameSizes(output: readonly Size[], labels: readonly number[]): boolean {
  const [a, b] = [withoutOnes(output), withoutOnes(labels)];
  return a.length === b.length && a.every((size, axis) => axis === 0 || fits(size, b[axis]));
}

function isClassIds(output: readonly Size[], labels: readonly number[]): boolean {
  if (output.at(-1) === 0) return false;
  if (output.length === 2 && labels.length === 2) return labels[1] === 1;
  const isOnePerRow = labels.length === output.length - 1 && labels.length > 0;
  return isOnePerRow && labels.every((size, axis) => axis === 0 || fits(output[axis], size));
}

function fits(size: Size, other: Size): boolean {
  return typeof size !== 'number' || size === other;
}

function withoutOnes(shape: readonly Size[]): readonly Size[] {
  return shape.slice(0, Math.max(1, shape.findLastIndex((size) => size !== 1) + 1));
}

function mismatch({ name, shape, finalOp }: LabelledValue, { dtype, shape: given }: Labels): EmpError {
  const sizes = shape.map((size) => (typeof size === 'number' ? size : '?'));
  const wanted = ['n', ...sizes.slice(1)];
  const numbers =
    finalOp === 'Sigmoid'
      ? `targets [${wanted}] from 0 to 1 for binary cross-entropy`
      : `floats [${wanted}] for squared errors`;
  const expected = shape.length > 1 ? `class ids [${wanted.slice(0, -1)}], or ${numbers}` : numbers;
  return new EmpError(
    'samples_mismatch',
    `output '${name}' has shape [${sizes}] and the labels are ${dtype} [${given}]: expected ${expected}`,
  );
}
