import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelTensor, weightCount } from '../formats/model.ts';
import type { CriterionContext, ScoreRange } from './context.ts';
import type { Factors } from './part-statistics.ts';
import { weightChunks } from './weight-chunks.ts';

/**
 * Writes `|W_ij| * factor` of every weight, computed in float64, to a scratch file named after `index`: as float32, or float64 of float64 weights.
 * A product beyond that becomes Infinity, which is refused where the scores are read.
 */
export async function writeScores(
  tensor: ModelTensor,
  factors: Factors,
  context: Pick<CriterionContext, 'model' | 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  const { name, dtype } = tensor;
  const n = weightCount(tensor);
  const path = join(context.scratchDirectory, `scores-${index}`);
  await using target = await open(path, 'w');
  for await (const { start, weights } of weightChunks(tensor, context)) {
    const factorOf = new Float64Array(weights.length);
    factors(start, factorOf);
    const scores = dtype === 'float64' ? factorOf : new Float32Array(weights.length);
    for (let i = 0; i < weights.length; i++) scores[i] = Math.abs(weights[i]) * factorOf[i];
    await target.writeFile(scores);
  }
  return { name, path, offset: 0, dtype: dtype === 'float64' ? 'float64' : 'float32', n };
}

/** Writes `|W_ij|` likewise, of weights that do not lie in the model's file as numbers that can be read where they are. */
export async function writeMagnitudes(
  tensor: ModelTensor,
  context: Pick<CriterionContext, 'model' | 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  return await writeScores(tensor, (_, target) => target.fill(1), context, index);
}

/** Likewise the scores themselves, one for every weight. */
export async function writeValues(
  tensor: ModelTensor,
  values: Float64Array,
  context: Pick<CriterionContext, 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  const path = join(context.scratchDirectory, `scores-${index}`);
  const { name, dtype } = tensor;
  const isWide = dtype === 'float64';
  await writeFile(path, isWide ? values : new Float32Array(values), { signal: context.signal });
  return { name, path, offset: 0, dtype: isWide ? 'float64' : 'float32', n: weightCount(tensor) };
}
