import type { InputGram } from '../repair/input-grams.ts';
import { DAMPING } from '../repair/layer-fit.ts';

/**
 * The damped Gram matrix of one group, `[features, features]`.
 * @param isCentred whether it is that of what comes in less its mean
 * @returns null where nothing, or nothing but a constant, comes in
 */
export function dampedGram(
  { products, means }: InputGram,
  group: number,
  features: number,
  isCentred: boolean,
): Float64Array<ArrayBuffer> | null {
  const size = features * features;
  const matrix = products.slice(group * size, (group + 1) * size);
  const own = means.subarray(group * features, (group + 1) * features);
  for (let i = 0; isCentred && i < features; i++)
    for (let j = 0; j < features; j++) matrix[i * features + j] -= own[i] * own[j];
  let trace = 0;
  for (let i = 0; i < size; i += features + 1) trace += Math.max(0, matrix[i]);
  const damping = (DAMPING * trace) / features;
  for (let i = 0; i < size; i += features + 1) matrix[i] = Math.max(0, matrix[i]) + damping;
  return damping > 0 ? matrix : null;
}
