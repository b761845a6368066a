import { BYTE_WIDTH } from '../../core/dtype.ts';
import { widen } from '../../core/float-format.ts';
import { BLOCK } from '../../core/kernel.ts';
import { sumOf } from '../../core/statistics.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import { openFileSource } from '../../formats/file-source.ts';

/** A megabyte of float32 at a time, whole blocks. */
const READ_ELEMENTS = 64 * BLOCK;

/** The sum of the scores that a packed keep mask keeps, by absolute value, times `2 ** scaleExponent`. */
export async function keptMass(
  { path, offset, dtype, n }: ScoreRange,
  keepMask: Uint8Array,
  scaleExponent: number,
  signal: AbortSignal,
): Promise<number> {
  await using source = await openFileSource(path);
  const sums: number[] = [];
  const scale = 2 ** scaleExponent;
  const scores = new Float64Array(Math.min(READ_ELEMENTS, n));
  for (let first = 0; first < n; first += READ_ELEMENTS) {
    signal.throwIfAborted();
    const count = Math.min(READ_ELEMENTS, n - first);
    const start = offset + first * BYTE_WIDTH[dtype];
    const bytes = await source.read(start, start + count * BYTE_WIDTH[dtype]);
    widen(bytes, dtype, scores.subarray(0, count));
    for (let block = 0; block < count; block += BLOCK) {
      let sum = 0;
      for (let i = block; i < Math.min(block + BLOCK, count); i++) {
        const at = first + i;
        if ((keepMask[at >> 3] >> (at & 7)) & 1) sum += Math.abs(scores[i]) * scale;
      }
      sums.push(sum);
    }
  }
  return sumOf(Float64Array.from(sums));
}
