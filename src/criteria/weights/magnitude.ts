import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFloatDtype } from '../../core/dtype.ts';
import { EmpError } from '../../core/errors.ts';
import { readIrregular } from '../../formats/irregular.ts';
import { denseRange, elementCount, type ModelTensor } from '../../formats/model.ts';
import { isQuantized } from '../../formats/quantized-weights.ts';
import type { CriterionContext, ScoreRange, WeightScorer } from '../context.ts';
import { writeMagnitudes } from '../score-writer.ts';

/** All that they are made of: no data. */
export type MagnitudeContext = Pick<CriterionContext, 'model' | 'scratchDirectory' | 'signal'>;

export const score: WeightScorer<'magnitude'> = magnitudes;

/** `s_ij = |W_ij|`: the scores are the weights' own bytes, read where they lie; of quantized weights what these stand for. */
export async function magnitudes(
  tensors: readonly ModelTensor[],
  context: MagnitudeContext,
): Promise<ScoreRange[]> {
  const ranges: ScoreRange[] = [];
  for (const [index, tensor] of tensors.entries()) {
    context.signal.throwIfAborted();
    ranges.push(
      await (isQuantized(tensor) ? writeMagnitudes(tensor, context, index) : weightRange(tensor, context)),
    );
  }
  return ranges;
}

async function weightRange(tensor: ModelTensor, context: MagnitudeContext): Promise<ScoreRange> {
  const { data, dtype, name, shape } = tensor;
  if (data === null || !isFloatDtype(dtype)) {
    throw new EmpError(
      'unsupported_dtype',
      `${name} is ${dtype}: only float weights have magnitudes, so exclude it`,
    );
  }
  const n = elementCount(shape);
  const range = denseRange(data);
  if (range) return { name, path: join(context.model.directory, range.file), offset: range.offset, dtype, n };
  // Only an .onnx file itself holds such data, so that an offset is a name.
  const path = join(context.scratchDirectory, `weights-${data.runs[0].offset}`);
  await writeFile(path, await readIrregular(context.model.directory, data, n));
  return { name, path, offset: 0, dtype, n };
}
