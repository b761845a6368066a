import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { elementCount, type ModelTensor } from '../formats/model.ts';
import { spreadValues } from '../graph/weights/index-map.ts';
import type { CriterionContext, ScoreRange } from './context.ts';
import { type FeatureFactors, weightChunks } from './weight-chunks.ts';

/**
 * Writes `|W_ij| * factor` of every weight, computed in float64, to a scratch file named after `index`: as float32, or float64 of float64 weights.
 * A product beyond that becomes Infinity, which is refused where the scores are read.
 */
export async function writeScores(
  tensor: ModelTensor,
  { factors, features }: FeatureFactors,
  context: Pick<CriterionContext, 'model' | 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  const { name, dtype, shape } = tensor;
  const n = elementCount(shape);
  const path = join(context.scratchDirectory, `scores-${index}`);
  await using target = await open(path, 'w');
  for await (const { start, weights } of weightChunks(tensor, context)) {
    const factorOf = new Float64Array(weights.length);
    spreadValues(features, factors, start, factorOf);
    const scores = dtype === 'float64' ? factorOf : new Float32Array(weights.length);
    for (let i = 0; i < weights.length; i++) scores[i] = Math.abs(weights[i]) * factorOf[i];
    await target.writeFile(scores);
  }
  return { name, path, offset: 0, dtype: dtype === 'float64' ? 'float64' : 'float32', n };
}

/** Likewise the scores themselves, one for every weight. */
export async function writeValues(
  { name, dtype, shape }: ModelTensor,
  values: Float64Array,
  context: Pick<CriterionContext, 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  const path = join(context.scratchDirectory, `scores-${index}`);
  const isWide = dtype === 'float64';
  await writeFile(path, isWide ? values : new Float32Array(values), { signal: context.signal });
  return { name, path, offset: 0, dtype: isWide ? 'float64' : 'float32', n: elementCount(shape) };
}
