import { relative } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { readScoreArrays } from '../formats/score-file.ts';
import type { AnalysisTasks } from './analysis-tasks.ts';
import { SHAPES_DOCUMENT, writeDocument } from './upload-documents.ts';

/** As many as the largest of today's models have tensors. */
const MAX_ARRAYS = 2 ** 17;

/** Reads the headers of score files and adds what they say as documents. @throws EmpError as `readScoreArrays`, insufficient_storage, and for too many arrays or none */
export async function readUploadedScores({
  upload,
  files,
  name,
}: AnalysisTasks['scores']['ask']): Promise<undefined> {
  const found = await readScoreArrays(files);
  const [message] = [
    found.length === 0 ? 'holds no arrays' : [],
    found.length > MAX_ARRAYS ? `holds ${found.length} arrays, more than ${MAX_ARRAYS}` : [],
  ].flat();
  if (message) throw new EmpError('invalid_request', `${name} ${message}`, [{ path: 'scores', message }]);
  const arrays = found.map((array) => ({
    ...array,
    range: { ...array.range, path: relative(upload.files, array.range.path) },
  }));
  await writeDocument(upload, 'arrays.json', arrays);
  const shapes = arrays.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
  await writeDocument(upload, SHAPES_DOCUMENT, shapes);
}
