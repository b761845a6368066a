import { createHash } from 'node:crypto';
import { isFloatDtype } from '../core/dtype.ts';
import { placeOf, type SampleSet } from '../formats/sample-set.ts';
import type { LabelLayout } from '../graph/label-layout.ts';
import { axisToFront } from './along-axis.ts';
import { type Batch, readBatches } from './batches.ts';
import { ConstantGuess, type Guess } from './constant-guess.ts';

/** Numbers of a batch by which their size is told. */
const LOGARITHMS = 16_384;
/** Read at a time. */
const AT_A_TIME = 16;

export interface Range {
  readonly least: number;
  readonly most: number;
  /** Geometric mean of the numbers' sizes, zeros aside; null where all are zeros. */
  readonly typical: number | null;
}

/** What samples are like, before any model has run on them. */
export interface SamplesLook {
  readonly nSamples: number;
  /** Of the inputs of each distinct sample. */
  readonly digests: ReadonlySet<string>;
  /** The first number of an input that is NaN or infinite. */
  readonly nonFinite: { readonly input: string; readonly sample: number } | null;
  /** Of each input of float numbers. */
  readonly ranges: ReadonlyMap<string, Range>;
}

/** Reads the inputs of all samples once. */
export async function lookAtSamples(samples: SampleSet, signal: AbortSignal): Promise<SamplesLook> {
  const digests = new Set<string>();
  const spreads = new Map<string, Spread>();
  let nonFinite: SamplesLook['nonFinite'] = null;
  for await (const batch of readBatches({ ...samples, labels: null }, AT_A_TIME, signal)) {
    const hashes = Array.from({ length: batch.count }, () => createHash('sha256'));
    for (const { name, axis = 0 } of samples.inputs) {
      const fed = batch.feeds.get(name);
      if (fed === undefined) throw new TypeError(`input ${name} was not read`);
      const { dtype, data } = axisToFront(fed, axis ?? 0);
      const stride = data.byteLength / batch.count;
      for (const [i, hash] of hashes.entries())
        hash.update(new Uint8Array(data.buffer, data.byteOffset + i * stride, stride));
      if (!isFloatDtype(dtype)) continue;
      const numbers = data as Float32Array;
      const spread = spreads.get(name) ?? new Spread();
      spread.add(numbers);
      spreads.set(name, spread);
      nonFinite ??= firstNonFinite(name, numbers, batch);
    }
    for (const hash of hashes) digests.add(hash.digest('base64'));
  }
  const ranges = new Map([...spreads].map(([name, spread]) => [name, spread.range]));
  return { nSamples: samples.nSamples, digests, nonFinite, ranges };
}

/** What labels are like. */
export interface LabelsLook {
  /** Whether every label is a row with one 1 among zeros. */
  readonly areOneHot: boolean;
  /** Null where too few labels count. */
  readonly guess: Guess | null;
}

/** Reads all labels once; they have been checked. */
export async function lookAtLabels(
  samples: SampleSet,
  layout: LabelLayout,
  signal: AbortSignal,
): Promise<LabelsLook> {
  const guess = new ConstantGuess(layout);
  const rowOf = layout.labelShape.at(-1) ?? 1;
  let areOneHot = rowOf > 1;
  for await (const { labels } of readBatches({ ...samples, inputs: [], constants: [] }, AT_A_TIME, signal)) {
    if (labels === null) continue;
    areOneHot &&= isOneHot(labels, rowOf);
    guess.add(labels);
  }
  return { areOneHot, guess: guess.guess };
}

/** Of finite numbers. */
class Spread {
  #least = Number.POSITIVE_INFINITY;
  #most = Number.NEGATIVE_INFINITY;
  #logs = 0;
  #n = 0;

  add(numbers: ArrayLike<number>): void {
    const step = Math.ceil(numbers.length / LOGARITHMS);
    for (let i = 0; i < numbers.length; i++) {
      const value = numbers[i];
      if (!Number.isFinite(value)) continue;
      if (value < this.#least) this.#least = value;
      if (value > this.#most) this.#most = value;
      if (value === 0 || i % step !== 0) continue;
      this.#logs += Math.log(Math.abs(value));
      this.#n++;
    }
  }

  get range(): Range {
    const typical = this.#n === 0 ? null : Math.exp(this.#logs / this.#n);
    return { least: this.#least, most: this.#most, typical };
  }
}

function firstNonFinite(input: string, numbers: Float32Array, batch: Batch): SamplesLook['nonFinite'] {
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return null;
  const place = batch.start + Math.floor(index / (numbers.length / batch.count));
  return { input, sample: placeOf(batch, place) };
}

function isOneHot(labels: Float64Array, rowOf: number): boolean {
  for (let row = 0; row < labels.length; row += rowOf) {
    let ones = 0;
    for (let i = row; i < row + rowOf; i++) {
      if (labels[i] === 1) ones++;
      else if (labels[i] !== 0) return false;
    }
    if (ones !== 1) return false;
  }
  return true;
}
