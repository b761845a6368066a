import { preservedMassBound } from '../../../core/bounds.ts';
import { BYTE_WIDTH } from '../../../core/dtype.ts';
import { BLOCK, BLOCK_PARTIALS, type SelectionKernel } from '../../../core/kernel.ts';
import { PlainKernel } from '../../../core/plain-kernel.ts';
import { selectWithin } from '../../../core/selection.ts';
import { rescale, statisticsOfBlocks } from '../../../core/statistics.ts';
import { WasmKernel } from '../../../core/wasm-kernel.ts';
import type { ScoreRange } from '../../../criteria/context.ts';
import type { RowLayout } from '../../../formats/model.ts';
import { countWithin } from '../../amount.ts';
import { type PassControl, takeTurns } from './control.ts';
import type { PositionedFiles } from './files.ts';
import { blocksOf, type DecideRowsPass, KEEP_ALL } from './operation.ts';

/** Elements of rows gathered at a time, unless one row is longer. */
const GATHERED_ELEMENTS = 1 << 21;
/** Elements read at a time where rows are interleaved, so that both ends of their way stay in the cache. */
const PIECE_ELEMENTS = 1 << 16;
/** A row is held in memory, and this is what a kernel takes. */
export const MAX_ROW_ELEMENTS = 2 ** 27;

/**
 * Neighbouring rows of one source: `units` of them from unit `firstUnit` on in each of `outers` slabs of the layout, from slab
 * `firstOuter` on. More slabs than one only where all their units are taken, so that the rows' numbers follow one another.
 */
export interface RowGroup {
  readonly source: number;
  readonly firstOuter: number;
  readonly outers: number;
  readonly firstUnit: number;
  readonly units: number;
}

export function rowCount({ outer, units }: RowLayout): number {
  return outer * units;
}

export function rowLength({ reduced, inner }: RowLayout): number {
  return reduced * inner;
}

/** The units of work of a `decide-rows` pass: a function of the layouts alone, whatever the number of threads. */
export function rowGroups(layouts: readonly RowLayout[]): RowGroup[] {
  const groups: RowGroup[] = [];
  for (const [source, layout] of layouts.entries()) {
    const { outer, units } = layout;
    const atOnce = Math.max(1, Math.floor(GATHERED_ELEMENTS / rowLength(layout)));
    const outersAtOnce = Math.max(1, Math.floor(atOnce / units));
    for (let firstOuter = 0; firstOuter < outer; firstOuter += outersAtOnce) {
      const outers = Math.min(outersAtOnce, outer - firstOuter);
      for (let firstUnit = 0; firstUnit < units; firstUnit += atOnce) {
        groups.push({ source, firstOuter, outers, firstUnit, units: Math.min(atOnce, units - firstUnit) });
      }
    }
  }
  return groups;
}

/** Runs EMP within every row that this thread gets; rows are gathered into memory, whatever their layout in the file. */
export function decideRows(pass: DecideRowsPass, control: PassControl, files: PositionedFiles): void {
  const { layouts } = pass.rows;
  const groups = rowGroups(layouts);
  const longest = layouts.reduce((most, layout) => Math.max(most, rowLength(layout)), 0);
  const capacity = Math.ceil(Math.max(longest, GATHERED_ELEMENTS) / BLOCK) * BLOCK;
  const kernel: SelectionKernel =
    pass.keys === 'float32' ? new WasmKernel(capacity) : new PlainKernel(capacity);
  const partials = new Float64Array(blocksOf(longest) * BLOCK_PARTIALS);
  for (const index of takeTurns(groups.length, control)) {
    const group = groups[index];
    const layout = layouts[group.source];
    const source = pass.sources[group.source];
    const length = rowLength(layout);
    const rows = group.outers * group.units;
    gather(source, layout, group, files, kernel.input(source.dtype, rows * length));
    kernel.load(source.dtype, rows * length);
    const firstRow = pass.rows.firstRow[group.source] + group.firstOuter * layout.units + group.firstUnit;
    let mass = 0;
    let guaranteed = 0;
    for (let row = 0; row < rows; row++) {
      kernel.focus(row * length, length);
      const decided = decideRow(kernel, length, firstRow + row, pass, partials);
      mass += decided.mass;
      guaranteed += decided.mass * decided.bound;
    }
    pass.mass[index] = mass;
    pass.guaranteed[index] = guaranteed;
  }
}

/** Reads a group's rows one after the other into `rows`. In the file they are interleaved unless `reduced` is 1. */
function gather(
  source: ScoreRange,
  { reduced, units: allUnits, inner }: RowLayout,
  { firstOuter, outers, firstUnit, units }: RowGroup,
  files: PositionedFiles,
  rows: Uint8Array,
): void {
  const run = inner * BYTE_WIDTH[source.dtype];
  const read = (into: Uint8Array, slab: number) =>
    files.read(source.path, into, source.offset + (slab * allUnits + firstUnit) * run);
  if (reduced === 1) {
    read(rows, firstOuter);
    return;
  }
  const firstSlab = firstOuter * reduced;
  const slabs = outers * reduced;
  const slabsAtOnce = Math.max(1, Math.floor(PIECE_ELEMENTS / (units * inner)));
  const piece = new Uint8Array(Math.min(slabs, slabsAtOnce) * units * run);
  for (let slab = 0; slab < slabs; slab += slabsAtOnce) {
    const count = Math.min(slabsAtOnce, slabs - slab);
    if (units === allUnits) read(piece.subarray(0, count * units * run), firstSlab + slab);
    else {
      for (let i = 0; i < count; i++) {
        read(piece.subarray(i * units * run, (i + 1) * units * run), firstSlab + slab + i);
      }
    }
    scatter(piece, rows, { slab, count, reduced, units, run });
  }
}

/** Puts `count` slabs `[units, run bytes]`, of which `reduced` make up one array of rows, in their places in the rows. */
function scatter(
  piece: Uint8Array,
  rows: Uint8Array,
  at: { slab: number; count: number; reduced: number; units: number; run: number },
): void {
  const { slab, count, reduced, units, run } = at;
  const inner = run % 4 === 0 ? run / 4 : run / 2;
  const from = words(piece, run);
  const to = words(rows, run);
  const starts = Uint32Array.from({ length: count }, (_, i) => {
    const outer = Math.floor((slab + i) / reduced);
    return (outer * units * reduced + ((slab + i) % reduced)) * inner;
  });
  for (let unit = 0; unit < units; unit++) {
    for (let i = 0; i < count; i++) {
      const source = (i * units + unit) * inner;
      const target = starts[i] + unit * reduced * inner;
      for (let word = 0; word < inner; word++) to[target + word] = from[source + word];
    }
  }
}

/** The bytes as the widest words that make up a run of `run` bytes. */
function words({ buffer, byteOffset, byteLength }: Uint8Array, run: number): Uint16Array | Uint32Array {
  return run % 4 === 0
    ? new Uint32Array(buffer, byteOffset, byteLength / 4)
    : new Uint16Array(buffer, byteOffset, byteLength / 2);
}

/** Decides on the row in the kernel's focus: number `row` of all. Returns its mass and the share of it that is guaranteed. */
function decideRow(
  kernel: SelectionKernel,
  n: number,
  row: number,
  { amount, rows, scaleExponent }: DecideRowsPass,
  partials: Float64Array,
): { mass: number; bound: number } {
  kernel.statistics(partials, 0);
  const selection = selectWithin(kernel, statisticsOfBlocks(partials, n), (scores) =>
    countWithin(amount, scores),
  );
  if (selection === null) {
    rows.threshold[row] = KEEP_ALL;
    return { mass: 0, bound: 1 };
  }
  const { threshold, tied, tiesKept, nEff, nKeep, statistics } = selection;
  rows.threshold[row] = threshold;
  rows.tieEnd[row] = tiesKept === tied ? n : tieEnd(kernel.scores, threshold, tiesKept);
  return {
    mass: rescale(statistics.sum, scaleExponent - statistics.scaleExponent),
    bound: preservedMassBound(n, nEff, nKeep),
  };
}

/** The position just past the `tiesKept`-th score that equals `threshold`. */
function tieEnd(scores: Float32Array | Float64Array, threshold: number, tiesKept: number): number {
  let position = 0;
  for (let seen = 0; seen < tiesKept; position++) if (Math.abs(scores[position]) === threshold) seen++;
  return position;
}
