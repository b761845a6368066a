import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { readIrregular } from '../formats/irregular.ts';
import type { ModelTensor } from '../formats/model.ts';
import type { CriterionContext, ScoreRange } from './criterion.ts';

/** `s_ij = |W_ij|`: the scores are the weights' own bytes, read where they lie. */
export async function magnitude(tensor: ModelTensor, context: CriterionContext): Promise<ScoreRange> {
  const { data, dtype, name, shape } = tensor;
  if (data === null || !isFloatDtype(dtype)) {
    throw new EmpError('unsupported_dtype', `${name} is ${dtype}: only float weights have magnitudes`);
  }
  const n = shape.reduce((product, size) => product * size, 1);
  if (data.encoding === 'dense' && data.runs.length === 1) {
    const { file, offset } = data.runs[0];
    return { path: join(context.modelDirectory, file), offset, dtype, n };
  }
  // Only an .onnx file itself holds such data, so that an offset is a name.
  const path = join(context.scratchDirectory, `weights-${data.runs[0].offset}`);
  await writeFile(path, await readIrregular(context.modelDirectory, data, n));
  return { path, offset: 0, dtype, n };
}
