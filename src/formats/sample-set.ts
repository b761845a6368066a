/** An array in a file: dense little-endian numbers in row-major order from `offset` on. */
export interface ArrayFile {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly path: string;
  readonly offset: number;
}

/** What has this label does not count, as in PyTorch, unless the loss is of squared errors. */
export const IGNORED_LABEL = -100;

/** Arrays as they came, by the names of the model's inputs: which axis counts the samples, only the model tells. */
export interface GivenSamples {
  readonly inputs: readonly ArrayFile[];
  /** What is the same for every sample. */
  readonly constants?: readonly ArrayFile[];
  /** Class ids `[n]` or next tokens `[n, positions]`, or numbers of the output's shape; `chooseLoss` tells them apart. */
  readonly labels: ArrayFile | null;
}

/** An array of samples. */
export interface SampledArray extends ArrayFile {
  /** The axis that counts the samples, 0 unless given. Null where what the model takes has none: axis 0 of the array counts them, and each is fed alone, without it. */
  readonly axis?: number | null;
}

/** What is fed with every batch. */
export interface ConstantArray extends ArrayFile {
  /** The axis, of size 1, along which it is repeated for every sample of a batch. Null where it is fed as it is. */
  readonly repeatedAxis: number | null;
}

/** Data to run a model on, one array for every input of it. */
export interface SampleSet extends GivenSamples {
  readonly nSamples: number;
  /** Which samples of the arrays they are, ascending; all of them unless given. */
  readonly order?: Uint32Array;
  /** Of how many; `nSamples` unless given. */
  readonly nStored?: number;
  readonly inputs: readonly SampledArray[];
  readonly constants?: readonly ConstantArray[];
  readonly labels: (ArrayFile & { readonly axis?: number }) | null;
}

/** Some of the samples, in the order in which they lie. */
export function partOf(samples: SampleSet, order: Uint32Array): SampleSet {
  return {
    ...samples,
    nSamples: order.length,
    order: order.map((index) => placeOf(samples, index)),
    nStored: samples.nStored ?? samples.nSamples,
  };
}

/** Where the sample lies in the arrays that the client gave. */
export function placeOf({ order }: { readonly order?: Uint32Array | undefined }, index: number): number {
  return order ? order[index] : index;
}
