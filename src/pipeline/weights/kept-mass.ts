import { BYTE_WIDTH } from '../../core/dtype.ts';
import { widen } from '../../core/float-format.ts';
import { BLOCK } from '../../core/kernel.ts';
import { sumOf } from '../../core/statistics.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import { openFileSource } from '../../formats/file-source.ts';

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
  for (let first = 0; first < n; first += BLOCK) {
    signal.throwIfAborted();
    const scores = new Float64Array(Math.min(BLOCK, n - first));
    const start = offset + first * BYTE_WIDTH[dtype];
    widen(await source.read(start, start + scores.length * BYTE_WIDTH[dtype]), dtype, scores);
    let sum = 0;
    for (const [i, score] of scores.entries()) {
      const at = first + i;
      if ((keepMask[at >> 3] >> (at & 7)) & 1) sum += Math.abs(score) * scale;
    }
    sums.push(sum);
  }
  return sumOf(Float64Array.from(sums));
}
