import { gaussians } from '../models/small-model.ts';

/** A matrix as its rows. */
export const rowsOf = (values: ArrayLike<number>, columns: number) =>
  Array.from({ length: values.length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) => values[row * columns + column]),
  );
/** Of `[rows, columns]`. */
export const transposed = (values: ArrayLike<number>, [rows, columns]: [number, number]) =>
  Array.from({ length: values.length }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]);
export const relu = (values: readonly number[]) => values.map((value) => Math.max(0, value));

/** Features that go together, so that what is dropped of one can be had from another. */
export function correlated(n: number, features: number, seed: number): Float32Array<ArrayBuffer> {
  const [common, own] = [gaussians(n, seed), gaussians(n * features, seed + 1)];
  return own.map((value, i) => 0.5 * value + common[Math.floor(i / features)] + 0.3);
}
