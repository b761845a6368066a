import { preservedMassBound } from '../core/bounds.ts';
import { distributeTies, type Selection, selectThreshold } from '../core/selection.ts';
import type { ScoreStatistics } from '../core/statistics.ts';
import type { RowLayout } from '../formats/model.ts';
import { type CountRule, countOf, minimumKept } from './passes/count-rule.ts';
import {
  chunksOf,
  type Ranks,
  type RowDecisions,
  sharedFloats,
  type TensorDecisions,
} from './passes/operation.ts';
import { KEEP_ALL, rowCount } from './passes/rows.ts';
import { keyDigits, type NamedScores, type PassRunner, type Summary } from './passes/runner.ts';

/** What a scope decides: of every tensor and of the whole. */
export interface Decision {
  readonly decisions: TensorDecisions | RowDecisions;
  /** Per tensor. */
  readonly statistics: readonly ScoreStatistics[];
  /** Per tensor, counts by exponent field, `EXPONENT_BINS` each. */
  readonly exponents: Int32Array;
  /** The one threshold and N_eff of scope `global`. */
  readonly global: { readonly nEff: number; readonly threshold: number } | null;
  /** Guaranteed share of the whole mass that is kept. */
  readonly preservedMassBound: number;
  /** Tensors that `min_density` kept denser than the global threshold would. */
  readonly raised: readonly string[];
  /** Per tensor, rows of zeros left as they are. */
  readonly zeroRows: ReadonlyMap<string, number>;
}

const ALL_TIES = Number.MAX_SAFE_INTEGER;

/** One score vector over all tensors: one N_eff, one threshold. */
export async function decideGlobally(
  runner: PassRunner,
  tensors: readonly NamedScores[],
  rule: CountRule,
): Promise<Decision> {
  const summary = await runner.summarize(tensors);
  const tiesKept = new Float64Array(chunksOf(tensors, runner.chunkElements).length).fill(ALL_TIES);
  const thresholds = new Float64Array(tensors.length).fill(KEEP_ALL);
  const raised: string[] = [];
  const decided = {
    statistics: summary.bySource,
    exponents: summary.exponents,
    raised,
    zeroRows: new Map(),
  };
  const decisions: TensorDecisions = { by: 'tensor', thresholds, tiesKept };
  const selection = await selectGroup(runner, tensors, summary, (statistics) => countOf(rule, statistics));
  if (selection === null) return { ...decided, decisions, global: null, preservedMassBound: 1 };

  thresholds.fill(selection.threshold);
  if (selection.tiesKept < selection.tied || rule.minDensity > 0) {
    const ranks = await runner.rank(tensors, selection.threshold);
    tiesKept.set(distributeTies(ranks.tied, selection.tiesKept));
    raised.push(...(await raiseSparseTensors(runner, tensors, rule, ranks, decisions)));
  }
  const { n, nEff, nKeep, threshold } = selection;
  return {
    ...decided,
    decisions,
    global: { nEff, threshold },
    preservedMassBound: preservedMassBound(n, nEff, nKeep),
  };
}

/** Gives tensors that the global threshold leaves below `minDensity` a threshold of their own. Returns their names. */
async function raiseSparseTensors(
  runner: PassRunner,
  tensors: readonly NamedScores[],
  rule: CountRule,
  ranks: Ranks,
  { thresholds, tiesKept }: TensorDecisions,
): Promise<string[]> {
  const kept = new Float64Array(tensors.length);
  const chunks = chunksOf(tensors, runner.chunkElements);
  chunks.forEach(({ source }, i) => {
    kept[source] += ranks.above[i] + tiesKept[i];
  });
  const raised: string[] = [];
  for (const [source, tensor] of tensors.entries()) {
    const least = minimumKept(tensor.n, rule.minDensity);
    if (kept[source] >= least) continue;
    const summary = await runner.summarize([tensor]);
    const first = chunks.findIndex((chunk) => chunk.source === source);
    const own = tiesKept
      .subarray(first, first + chunksOf([tensor], runner.chunkElements).length)
      .fill(ALL_TIES);
    const selection = await selectTensor(runner, tensor, summary, () => least, own);
    thresholds[source] = selection?.threshold ?? KEEP_ALL;
    raised.push(tensor.name);
  }
  return raised;
}

/** One score vector per tensor. */
export async function decideByLayer(
  runner: PassRunner,
  tensors: readonly NamedScores[],
  rule: CountRule,
): Promise<Decision> {
  const thresholds = new Float64Array(tensors.length).fill(KEEP_ALL);
  const tiesKept = new Float64Array(chunksOf(tensors, runner.chunkElements).length).fill(ALL_TIES);
  const statistics: ScoreStatistics[] = [];
  const exponents: Int32Array[] = [];
  const guaranteed: number[] = [];
  let firstChunk = 0;
  for (const [i, tensor] of tensors.entries()) {
    const summary = await runner.summarize([tensor]);
    statistics.push(summary.statistics);
    exponents.push(summary.exponents);
    const keep = (whole: ScoreStatistics) =>
      Math.max(countOf(rule, whole), minimumKept(whole.n, rule.minDensity));
    const selection = await selectTensor(runner, tensor, summary, keep, tiesKept.subarray(firstChunk));
    thresholds[i] = selection?.threshold ?? KEEP_ALL;
    guaranteed.push(selection ? preservedMassBound(selection.n, selection.nEff, selection.nKeep) : 1);
    firstChunk += chunksOf([tensor], runner.chunkElements).length;
  }
  return {
    decisions: { by: 'tensor', thresholds, tiesKept },
    statistics,
    exponents: concatenate(exponents),
    global: null,
    preservedMassBound: weightedBound(statistics.map(mass), guaranteed),
    raised: [],
    zeroRows: new Map(),
  };
}

/** One score vector per row: per output unit. */
export async function decideByRow(
  runner: PassRunner,
  tensors: readonly NamedScores[],
  rule: CountRule,
  layouts: readonly RowLayout[],
): Promise<Decision> {
  const { bySource, exponents } = await runner.summarize(tensors);
  const firstRow: number[] = [];
  let count = 0;
  for (const layout of layouts) {
    firstRow.push(count);
    count += rowCount(layout);
  }
  const rows: RowDecisions = {
    by: 'row',
    layouts,
    firstRow,
    threshold: sharedFloats(count),
    tieEnd: sharedFloats(count),
    sum: sharedFloats(count),
    bound: sharedFloats(count),
  };
  await runner.decideRows(tensors, { rule, rows });
  const zeroRows = new Map<string, number>();
  tensors.forEach(({ name }, i) => {
    const own = rows.threshold.subarray(firstRow[i], firstRow[i] + rowCount(layouts[i]));
    const zero = own.reduce((sum, threshold) => sum + Number(threshold === KEEP_ALL), 0);
    if (zero > 0) zeroRows.set(name, zero);
  });
  return {
    decisions: rows,
    statistics: bySource,
    exponents,
    global: null,
    preservedMassBound: weightedBound(rows.sum, rows.bound),
    raised: [],
    zeroRows,
  };
}

function selectGroup(
  runner: PassRunner,
  group: readonly NamedScores[],
  summary: Summary,
  keep: (statistics: ScoreStatistics) => number,
): Promise<Selection | null> {
  return selectThreshold(
    {
      ...keyDigits(group),
      summarize: async () => summary,
      refine: (digit, prefix) => runner.refine(group, digit, prefix),
    },
    keep,
  );
}

/** Selects within one tensor; how its ties are cut goes to `tiesKept`, its chunks' part of the whole. */
async function selectTensor(
  runner: PassRunner,
  tensor: NamedScores,
  summary: Summary,
  keep: (statistics: ScoreStatistics) => number,
  tiesKept: Float64Array,
): Promise<Selection | null> {
  const selection = await selectGroup(runner, [tensor], summary, keep);
  if (selection && selection.tiesKept < selection.tied) {
    const { tied } = await runner.rank([tensor], selection.threshold);
    tiesKept.set(distributeTies(tied, selection.tiesKept));
  }
  return selection;
}

function mass({ sum, scaleExponent }: ScoreStatistics): number {
  return sum * 2 ** -scaleExponent;
}

/** What groups of the given masses guarantee together; 1 where there is no mass. */
function weightedBound(masses: ArrayLike<number>, bounds: ArrayLike<number>): number {
  let total = 0;
  let kept = 0;
  for (let i = 0; i < masses.length; i++) {
    total += masses[i];
    kept += masses[i] * bounds[i];
  }
  return total > 0 ? kept / total : 1;
}

function concatenate(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
