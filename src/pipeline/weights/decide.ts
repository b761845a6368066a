import { preservedMassBound } from '../../core/bounds.ts';
import { distributeTies, type KeepRule, type Selection, selectThreshold } from '../../core/selection.ts';
import type { ScoreStatistics } from '../../core/statistics.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import type { ModelTensor } from '../../formats/model.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import { type Amount, countOf, countWithin, minimumKept } from '../amount.ts';
import { guaranteedShare, shareOf } from './guaranteed-mass.ts';
import type { ExponentCounts } from './passes/exponents.ts';
import {
  chunksOf,
  KEEP_ALL,
  type Ranks,
  type RowDecisions,
  sharedFloats,
  type TensorDecisions,
} from './passes/operation.ts';
import { rowCount, rowGroups } from './passes/rows.ts';
import { keyDigits, type PassRunner, type Summary } from './passes/runner.ts';

/** What a scope decides: of every tensor and of the whole. */
export interface Decision {
  readonly decisions: TensorDecisions | RowDecisions;
  /** Per tensor. */
  readonly statistics: readonly ScoreStatistics[];
  /** Per tensor. */
  readonly exponents: readonly ExponentCounts[];
  /** The one N_eff of scope `global`, and its one threshold, unless the total was shared otherwise. */
  readonly global: { readonly nEff: number; readonly threshold: number | null } | null;
  /** Guaranteed share of the whole mass that is kept. */
  readonly preservedMassBound: number;
  /** Tensors that `min_density` kept denser than the global threshold would. */
  readonly raised: readonly string[];
  /** Per tensor, rows of zeros left as they are. */
  readonly zeroRows: ReadonlyMap<string, number>;
}

/** The scores of tensors, ready to be decided on any number of times. */
export interface TensorScores {
  readonly runner: PassRunner;
  readonly tensors: readonly ModelTensor[];
  /** Of each tensor. */
  readonly ranges: readonly ScoreRange[];
  readonly summary: Summary;
}

export const ALL_TIES = Number.MAX_SAFE_INTEGER;

/** What to keep by `amount` in every group of `scope`. */
export function decideWeights(
  scores: TensorScores,
  amount: Amount,
  scope: Recipe['scope'],
): Promise<Decision> {
  switch (scope) {
    case 'global':
      return decideGlobally(scores, amount);
    case 'layer':
      return decideByLayer(scores, amount);
    case 'row':
      return decideByRow(scores, amount);
  }
}

/** One score vector over all tensors: one N_eff, one threshold. */
async function decideGlobally({ runner, ranges, summary }: TensorScores, amount: Amount): Promise<Decision> {
  const tiesKept = new Float64Array(chunksOf(ranges, runner.chunkElements).length).fill(ALL_TIES);
  const thresholds = new Float64Array(ranges.length).fill(KEEP_ALL);
  const decisions: TensorDecisions = { by: 'tensor', thresholds, tiesKept };
  const selection = await selectGroup(runner, ranges, summary, (statistics) => countOf(amount, statistics));
  let raised: string[] = [];
  if (selection) thresholds.fill(selection.threshold);
  if (selection && (selection.tiesKept < selection.tied || amount.minDensity > 0)) {
    const ranks = await runner.rank(ranges, selection.threshold);
    tiesKept.set(distributeTies(ranks.tied, selection.tiesKept));
    raised = await raiseSparseTensors(runner, ranges, amount, ranks, decisions);
  }
  return {
    decisions,
    statistics: summary.bySource,
    exponents: summary.exponents,
    global: selection,
    preservedMassBound: selection ? preservedMassBound(selection.n, selection.nEff, selection.nKeep) : 1,
    raised,
    zeroRows: new Map(),
  };
}

/** Gives tensors that the global threshold leaves below `minDensity` a threshold of their own. Returns their names. */
async function raiseSparseTensors(
  runner: PassRunner,
  ranges: readonly ScoreRange[],
  { minDensity }: Amount,
  ranks: Ranks,
  { thresholds, tiesKept }: TensorDecisions,
): Promise<string[]> {
  const kept = new Float64Array(ranges.length);
  const firstChunk: number[] = [];
  chunksOf(ranges, runner.chunkElements).forEach(({ source }, i) => {
    kept[source] += ranks.above[i] + tiesKept[i];
    firstChunk[source] ??= i;
  });
  const isSparse = ({ n }: ScoreRange, source: number) => kept[source] < minimumKept(n, minDensity);
  const sparse = [...ranges.keys()].filter((source) => isSparse(ranges[source], source));
  const raised = sparse.map((source) => ranges[source]);
  const own = await decideEach(runner, raised, { beta: null, sparsity: null, minDensity });
  let chunk = 0;
  for (const [i, source] of sparse.entries()) {
    const chunks = chunksOf([ranges[source]], runner.chunkElements).length;
    thresholds[source] = own.thresholds[i];
    tiesKept.set(own.tiesKept.subarray(chunk, chunk + chunks), firstChunk[source]);
    chunk += chunks;
  }
  return raised.map(({ name }) => name);
}

/** One score vector per tensor. */
async function decideByLayer({ runner, ranges }: TensorScores, amount: Amount): Promise<Decision> {
  const { thresholds, tiesKept, statistics, exponents } = await decideEach(runner, ranges, amount);
  return {
    decisions: { by: 'tensor', thresholds, tiesKept },
    statistics,
    exponents,
    global: null,
    preservedMassBound: guaranteedShare(statistics, (i) => countWithin(amount, statistics[i])),
    raised: [],
    zeroRows: new Map(),
  };
}

/** Every tensor a group of its own: those of one chunk all in one pass, longer ones one after the other. */
async function decideEach(runner: PassRunner, ranges: readonly ScoreRange[], amount: Amount) {
  const isSmall = ({ n }: ScoreRange) => n <= runner.chunkElements;
  const small = await runner.decideSmall(ranges.filter(isSmall), amount);
  const thresholds = new Float64Array(ranges.length).fill(KEEP_ALL);
  const tiesKept = new Float64Array(chunksOf(ranges, runner.chunkElements).length).fill(ALL_TIES);
  const statistics: ScoreStatistics[] = [];
  const exponents: ExponentCounts[] = [];
  let chunk = 0;
  let taken = 0;
  for (const [i, range] of ranges.entries()) {
    if (isSmall(range)) {
      thresholds[i] = small.thresholds[taken];
      tiesKept[chunk++] = small.tiesKept[taken];
      statistics.push(small.bySource[taken]);
      exponents.push(small.exponents[taken++]);
      continue;
    }
    const alone = await decideAlone(runner, range, (whole) => countWithin(amount, whole));
    thresholds[i] = alone.threshold;
    tiesKept.set(alone.tiesKept, chunk);
    statistics.push(alone.summary.statistics);
    for (const exponent of alone.summary.exponents) exponents.push(exponent);
    chunk += alone.tiesKept.length;
  }
  return { thresholds, tiesKept, statistics, exponents };
}

/** A tensor of any length as a group of its own; one of zeros is left as it is. */
export async function decideAlone(runner: PassRunner, range: ScoreRange, keep: KeepRule) {
  const summary = await runner.summarize([range]);
  const selection = await selectGroup(runner, [range], summary, keep);
  const tiesKept = new Float64Array(chunksOf([range], runner.chunkElements).length).fill(ALL_TIES);
  if (selection && selection.tiesKept < selection.tied) {
    const { tied } = await runner.rank([range], selection.threshold);
    tiesKept.set(distributeTies(tied, selection.tiesKept));
  }
  return { summary, threshold: selection?.threshold ?? KEEP_ALL, tiesKept };
}

/** One score vector per row: per output unit. */
async function decideByRow(
  { runner, ranges, summary, tensors }: TensorScores,
  amount: Amount,
): Promise<Decision> {
  const { statistics, bySource, exponents } = summary;
  const layouts = tensors.flatMap(({ rows }) => rows ?? []);
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
    tieEnd: new Uint32Array(new SharedArrayBuffer(count * 4)),
  };
  const groups = rowGroups(layouts).length;
  const [mass, guaranteed] = [sharedFloats(groups), sharedFloats(groups)];
  const { scaleExponent } = statistics;
  await runner.run(ranges, { kind: 'decide-rows', amount, rows, scaleExponent, mass, guaranteed });
  const zeroRows = new Map<string, number>();
  ranges.forEach(({ name }, i) => {
    const end = firstRow[i] + rowCount(layouts[i]);
    let zero = 0;
    for (let row = firstRow[i]; row < end; row++) zero += Number(rows.threshold[row] === KEEP_ALL);
    if (zero > 0) zeroRows.set(name, zero);
  });
  return {
    decisions: rows,
    statistics: bySource,
    exponents,
    global: null,
    preservedMassBound: shareOf(guaranteed, mass),
    raised: [],
    zeroRows,
  };
}

/** Which scores of a group are kept; null where all are zero. */
export function selectGroup(
  runner: PassRunner,
  group: readonly ScoreRange[],
  summary: Summary,
  keep: KeepRule,
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
