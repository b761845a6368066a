import { elementCount } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';

/** Elements of one sample over all inputs: a measure of work like bytes, whatever the dtype. */
export function sampleWork({ inputs }: SampleSet): number {
  return inputs.reduce((sum, { shape, axis }) => sum + 4 * elementCount(shape.toSpliced(axis ?? 0, 1)), 0);
}
