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

/** Data to run a model on: axis 0 of every array counts the samples. */
export interface SampleSet {
  readonly nSamples: number;
  /** One array per model input, by the input's name. */
  readonly inputs: readonly ArrayFile[];
  /** Class ids `[n]` or next tokens `[n, positions]`, or numbers of the output's shape; `chooseLoss` tells them apart. */
  readonly labels: ArrayFile | null;
}
