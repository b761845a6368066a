import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BYTE_WIDTH } from '../../core/dtype.ts';
import { widen } from '../../core/float-format.ts';
import { lampScores } from '../../core/lamp.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import { openFileSource } from '../../formats/file-source.ts';
import type { PruneJob } from '../prune-job.ts';

/** Scores read at a time. */
const CHUNK_ELEMENTS = 2 ** 18;

/** Writes the LAMP scores of each tensor to a scratch file, in ascending order: counts are taken of them, not places. One tensor at a time is in memory, as float64. */
export async function writeLampScores(
  ranges: readonly ScoreRange[],
  { scratchDirectory, signal }: Pick<PruneJob, 'scratchDirectory' | 'signal'>,
): Promise<ScoreRange[]> {
  const path = join(scratchDirectory, 'scores-lamp');
  await using target = await open(path, 'w');
  const written: ScoreRange[] = [];
  let offset = 0;
  for (const range of ranges) {
    const lamp = lampScores(await readScores(range, signal));
    await target.writeFile(lamp);
    written.push({ ...range, path, offset, dtype: 'float64' });
    offset += lamp.byteLength;
  }
  return written;
}

/** Widened exactly. */
async function readScores(
  { path, offset, dtype, n }: ScoreRange,
  signal: AbortSignal,
): Promise<Float64Array> {
  await using source = await openFileSource(path);
  const scores = new Float64Array(n);
  const width = BYTE_WIDTH[dtype];
  for (let start = 0; start < n; start += CHUNK_ELEMENTS) {
    signal.throwIfAborted();
    const chunk = scores.subarray(start, start + CHUNK_ELEMENTS);
    widen(await source.read(offset + start * width, offset + (start + chunk.length) * width), dtype, chunk);
  }
  return scores;
}
