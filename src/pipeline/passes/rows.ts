import { preservedMassBound } from '../../core/bounds.ts';
import { BYTE_WIDTH } from '../../core/dtype.ts';
import { BLOCK, BLOCK_PARTIALS, type SelectionKernel } from '../../core/kernel.ts';
import { PlainKernel } from '../../core/plain-kernel.ts';
import { selectWithin } from '../../core/selection.ts';
import { type ScoreStatistics, statisticsOfBlocks } from '../../core/statistics.ts';
import { WasmKernel } from '../../core/wasm-kernel.ts';
import type { ScoreRange } from '../../criteria/criterion.ts';
import type { RowLayout } from '../../formats/model.ts';
import { type PassControl, takeTurns } from './control.ts';
import { countOf, minimumKept } from './count-rule.ts';
import type { PositionedFiles } from './files.ts';
import { blocksOf, type Chunk, type DecideRowsPass, type RowDecisions } from './operation.ts';

/** Elements of rows gathered at a time, unless one row is longer. */
const GATHERED_ELEMENTS = 1 << 20;

/** Threshold of a row that is left as it is. */
export const KEEP_ALL = -1;

/** Neighbouring rows of one source: `units` of them from unit `firstUnit` on, in slab `outer` of the layout. */
interface RowGroup {
  readonly source: number;
  readonly outer: number;
  readonly firstUnit: number;
  readonly units: number;
}

export function rowCount({ outer, units }: RowLayout): number {
  return outer * units;
}

function rowLength({ reduced, inner }: RowLayout): number {
  return reduced * inner;
}

/** Runs EMP within every row that this thread gets; rows are gathered into memory, whatever their layout in the file. */
export function decideRows(pass: DecideRowsPass, control: PassControl, files: PositionedFiles): void {
  const { layouts } = pass.rows;
  const groups = layouts.flatMap((layout, source) => rowGroups(layout, source));
  const longest = Math.max(...layouts.map(rowLength));
  const capacity = Math.ceil(Math.max(longest, GATHERED_ELEMENTS) / BLOCK) * BLOCK;
  const kernel: SelectionKernel =
    pass.keys === 'float32' ? new WasmKernel(capacity) : new PlainKernel(capacity);
  const partials = new Float64Array(blocksOf(longest) * BLOCK_PARTIALS);
  for (const index of takeTurns(groups.length, control)) {
    const group = groups[index];
    const layout = layouts[group.source];
    const { dtype } = pass.sources[group.source];
    const length = rowLength(layout);
    gather(pass.sources[group.source], layout, group, files, kernel.input(dtype, group.units * length));
    kernel.load(dtype, group.units * length);
    const firstRow = pass.rows.firstRow[group.source] + group.outer * layout.units + group.firstUnit;
    for (let unit = 0; unit < group.units; unit++) {
      kernel.focus(unit * length, length);
      decideRow(kernel, length, firstRow + unit, pass, partials);
    }
  }
}

function rowGroups(layout: RowLayout, source: number): RowGroup[] {
  const atOnce = Math.max(1, Math.floor(GATHERED_ELEMENTS / rowLength(layout)));
  const groups: RowGroup[] = [];
  for (let outer = 0; outer < layout.outer; outer++) {
    for (let firstUnit = 0; firstUnit < layout.units; firstUnit += atOnce) {
      groups.push({ source, outer, firstUnit, units: Math.min(atOnce, layout.units - firstUnit) });
    }
  }
  return groups;
}

/** Reads a group's rows one after the other into `rows`. In the file they are interleaved unless `reduced` is 1. */
function gather(
  source: ScoreRange,
  layout: RowLayout,
  group: RowGroup,
  files: PositionedFiles,
  rows: Uint8Array,
): void {
  const width = BYTE_WIDTH[source.dtype];
  const run = layout.inner * width;
  const strip = new Uint8Array(layout.reduced === 1 ? 0 : group.units * run);
  for (let r = 0; r < layout.reduced; r++) {
    const cell = (group.outer * layout.reduced + r) * layout.units + group.firstUnit;
    if (layout.reduced === 1) {
      files.read(source.path, rows, source.offset + cell * run);
      return;
    }
    files.read(source.path, strip, source.offset + cell * run);
    for (let unit = 0; unit < group.units; unit++) {
      const to = (unit * layout.reduced + r) * run;
      for (let byte = 0; byte < run; byte++) rows[to + byte] = strip[unit * run + byte];
    }
  }
}

function decideRow(
  kernel: SelectionKernel,
  n: number,
  row: number,
  { rule, rows }: DecideRowsPass,
  partials: Float64Array,
): void {
  kernel.statistics(partials, 0);
  const keep = (scores: ScoreStatistics) => Math.max(countOf(rule, scores), minimumKept(n, rule.minDensity));
  const selection = selectWithin(kernel, statisticsOfBlocks(partials, n), keep);
  if (selection === null) {
    rows.threshold[row] = KEEP_ALL;
    rows.bound[row] = 1;
    return;
  }
  const { threshold, tied, tiesKept, nEff, nKeep, statistics } = selection;
  rows.threshold[row] = threshold;
  rows.tieEnd[row] = tiesKept === tied ? n : tieEnd(kernel.scores, threshold, tiesKept);
  rows.sum[row] = statistics.sum * 2 ** -statistics.scaleExponent;
  rows.bound[row] = preservedMassBound(n, nEff, nKeep);
}

/** The position just past the `tiesKept`-th score that equals `threshold`. */
function tieEnd(scores: Float32Array | Float64Array, threshold: number, tiesKept: number): number {
  let position = 0;
  for (let seen = 0; seen < tiesKept; position++) if (Math.abs(scores[position]) === threshold) seen++;
  return position;
}

/** Keep mask of a chunk in the file's order, from what was decided of the rows; kept sums per BLOCK go to `partials`. */
export function rowKeepMask(
  { layouts, firstRow, threshold, tieEnd: tieEnds }: RowDecisions,
  { source, start, count }: Pick<Chunk, 'source' | 'start' | 'count'>,
  scores: Float32Array | Float64Array,
  partials: Float64Array,
  partialsOffset: number,
  scale: number,
): Uint8Array {
  const { reduced, units, inner } = layouts[source];
  const keepMask = new Uint8Array(Math.ceil(count / 8));
  const cell = Math.floor(start / inner);
  let i = start - cell * inner;
  let unit = cell % units;
  let slab = Math.floor(cell / units);
  let row = firstRow[source] + Math.floor(slab / reduced) * units + unit;
  let position = (slab % reduced) * inner;
  let byte = 0;
  for (let at = 0; at < count; ) {
    const block = partialsOffset + at / BLOCK;
    const stop = Math.min(count, at + BLOCK);
    let sum = 0;
    for (; at < stop; at++, i++) {
      if (i === inner) {
        i = 0;
        row++;
        if (++unit === units) {
          unit = 0;
          slab++;
          row = firstRow[source] + Math.floor(slab / reduced) * units;
          position = (slab % reduced) * inner;
        }
      }
      const score = Math.abs(scores[at]);
      const isTie = Number(score === threshold[row]) & Number(position + i < tieEnds[row]);
      const keep = Number(score > threshold[row]) | isTie;
      sum += keep * score;
      byte |= keep << (at & 7);
      keepMask[at >> 3] = byte;
      byte &= ((at & 7) - 7) >> 31;
    }
    partials[block] = sum * scale;
  }
  return keepMask;
}
