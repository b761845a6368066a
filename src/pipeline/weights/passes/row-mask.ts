import { BLOCK } from '../../../core/kernel.ts';
import type { Chunk, RowDecisions } from './operation.ts';

/**
 * Keep mask of a chunk in the file's order, from what was decided of the rows. Sums of the kept scores, times `scale` (a power of
 * two), go to `partials` from `partialsOffset` on, one a BLOCK.
 */
export function rowKeepMask(
  { layouts, firstRow, threshold, tieEnd }: RowDecisions,
  { source, start, count }: Pick<Chunk, 'source' | 'start' | 'count'>,
  scores: Float32Array | Float64Array,
  partials: Float64Array,
  partialsOffset: number,
  scale: number,
): Uint8Array {
  const { reduced, units, inner } = layouts[source];
  const keepMask = new Uint8Array(Math.ceil(count / 8));
  // Neighbours in the file are successive positions of one row; where `inner` is 1 they are one position of successive rows.
  const rowStep = inner === 1 ? 1 : 0;
  const cell = Math.floor(start / inner);
  let i = start - cell * inner;
  let unit = cell % units;
  let slab = Math.floor(cell / units);
  for (let at = 0; at < count; ) {
    const block = partialsOffset + at / BLOCK;
    const blockEnd = Math.min(count, at + BLOCK);
    let sum = 0;
    while (at < blockEnd) {
      const steps = Math.min(blockEnd - at, rowStep ? units - unit : inner - i);
      let row = firstRow[source] + Math.floor(slab / reduced) * units + unit;
      let position = (slab % reduced) * inner + i;
      for (const stop = at + steps; at < stop; at++) {
        const score = Math.abs(scores[at]);
        const isTie = Number(score === threshold[row]) & Number(position < tieEnd[row]);
        const keep = Number(score > threshold[row]) | isTie;
        sum += keep * score * scale;
        keepMask[at >> 3] |= keep << (at & 7);
        row += rowStep;
        position += 1 - rowStep;
      }
      if (rowStep) unit += steps;
      else i += steps;
      if (i === inner && !rowStep) {
        i = 0;
        unit++;
      }
      if (unit === units) {
        unit = 0;
        slab++;
      }
    }
    partials[block] = sum;
  }
  return keepMask;
}
