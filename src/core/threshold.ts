import { type Excess, exactExcess, preservedMassBound, preservedMassBoundPaper } from './bounds.ts';
import type { FloatDtype } from './dtype.ts';
import { Turns } from './event-loop.ts';
import { BLOCK, BLOCK_PARTIALS, type SelectionKernel } from './kernel.ts';
import { MemoryPasses } from './memory-passes.ts';
import { PlainKernel } from './plain-kernel.ts';
import {
  bytesOf,
  createScoreGroups,
  nonFiniteInFocus,
  type ScoreGroups,
  type ScoreVector,
  scoreError,
} from './score-vector.ts';
import { type KeepRule, type Selection, selectThreshold, selectWithin } from './selection.ts';
import { shiftToZero } from './shift.ts';
import { assertBeta, effectiveSampleSize, keepCount, statisticsOfBlocks, sumOf } from './statistics.ts';
import { WasmKernel } from './wasm-kernel.ts';

/**
 * What a score's sign means. `abs`: nothing. `shift`: a scale that begins at the smallest, `s - min s`, for criteria whose sign
 * means keep or remove. `clamp`: negative scores count as 0.
 */
export const SIGNS = ['abs', 'shift', 'clamp'] as const;
export type Sign = (typeof SIGNS)[number];

export interface DecideOptions {
  /** Deployment knob, above 0; 1 unless given. */
  readonly beta?: number;
  /** `abs` unless given. */
  readonly sign?: Sign;
  /** What errors call the scores. */
  readonly group?: string;
}

type Rule = Required<Pick<DecideOptions, 'beta' | 'sign'>>;

/** EMP's answer for one group of scores. */
export interface Decision extends Rule {
  readonly n: number;
  readonly nEff: number;
  readonly nKeep: number;
  /** `1 - nKeep / n` */
  readonly sparsity: number;
  /** `nKeep / n` */
  readonly density: number;
  /** The smallest kept score, after `sign`. */
  readonly threshold: number;
  /** The kept scores' share of the sum of all. */
  readonly preservedMass: number;
  readonly preservedMassBound: number;
  readonly preservedMassBoundPaper: number | null;
  /** Bit `i & 7` of byte `i >> 3` is component i, 1 = keep; trailing bits are 0. */
  readonly keepMask: Uint8Array;
}

/**
 * Effective Model Pruning of one group of scores in memory. Throws `empty_scores`, `non_finite_score` (naming the first offending
 * index), `all_zero_scores` and `invalid_beta`. Large groups let the event loop have its turn every few milliseconds.
 */
export async function decide(
  scores: ScoreVector | Float64Array,
  options: DecideOptions = {},
): Promise<Decision> {
  const [decision] = await decideGroups(
    createScoreGroups(scores, 1, () => options.group),
    options,
  );
  return decision;
}

/** `decide` for each of `rows` groups of equal length that lie back to back. Errors name a row by its number. */
export async function decideRows(
  scores: ScoreVector | Float64Array,
  rows: number,
  options: Omit<DecideOptions, 'group'> = {},
): Promise<Decision[]> {
  return decideGroups(createScoreGroups(scores, rows, String), options);
}

/** What deciding on a group costs beside its elements, in elements. */
const GROUP_COST = 1024;

async function decideGroups(
  given: ScoreGroups,
  { beta = 1, sign = 'abs' }: DecideOptions,
): Promise<Decision[]> {
  assertBeta(beta);
  const rule = { beta, sign };
  const scores = sign === 'shift' ? await shiftToZero(given) : given;
  const kernel = sharedKernel(scores.dtype);
  const decisions: Decision[] = [];
  if (scores.length > kernel.capacity) {
    for (let group = 0; group < scores.count; group++) {
      decisions.push(await decideInPasses(scores, group, kernel, rule));
    }
    return decisions;
  }
  const atOnce = Math.floor(kernel.capacity / Math.max(scores.length, GROUP_COST));
  const turns = new Turns();
  for (let group = 0; group < scores.count; group += atOnce) {
    const count = Math.min(atOnce, scores.count - group);
    for (const decision of decideAtOnce(scores, group, count, kernel, rule)) decisions.push(decision);
    if (turns.due(count * (scores.length + GROUP_COST))) await turns.next();
  }
  return decisions;
}

/** Decides on a group of any length, chunk by chunk. */
async function decideInPasses(
  scores: ScoreGroups,
  group: number,
  kernel: SelectionKernel,
  rule: Rule,
): Promise<Decision> {
  const passes = new MemoryPasses(scores, group, kernel, kernelSign(rule));
  const selection = await selectThreshold(passes, empCount(rule));
  if (!selection) throw allZero(scores, group, rule);
  const { keepMask, keptSum } = await passes.keepMask(selection);
  return createDecision(selection, keptSum, keepMask, rule);
}

/** Decides on `count` neighbouring groups that fit the kernel together. */
function decideAtOnce(
  scores: ScoreGroups,
  first: number,
  count: number,
  kernel: SelectionKernel,
  rule: Rule,
): Decision[] {
  const { dtype, length, name } = scores;
  kernel.input(dtype, count * length).set(bytesOf(scores, first * length, count * length));
  kernel.load(dtype, count * length, kernelSign(rule));
  const partials = new Float64Array(Math.ceil(length / BLOCK) * BLOCK_PARTIALS);
  return Array.from({ length: count }, (_, i) => {
    const group = first + i;
    kernel.focus(i * length, length);
    const largest = kernel.statistics(partials, 0);
    if (!Number.isFinite(largest)) throw nonFiniteInFocus(kernel, name(group), 0);
    const selection = selectWithin(kernel, statisticsOfBlocks(partials, length), empCount(rule));
    if (!selection) throw allZero(scores, group, rule);
    const { threshold, tiesKept, statistics } = selection;
    const keepMask = kernel.keepMask(threshold, tiesKept, partials, 0, 2 ** statistics.scaleExponent).slice();
    const excess = exactExcess(kernel.scores, largest, selection.nEff);
    return createDecision(selection, sumOf(partials, Math.ceil(length / BLOCK)), keepMask, rule, excess);
  });
}

function createDecision(
  selection: Selection,
  keptSum: number,
  keepMask: Uint8Array,
  rule: Rule,
  excess?: Excess,
): Decision {
  const { n, nEff, nKeep, threshold, statistics } = selection;
  return {
    n,
    nEff,
    nKeep,
    sparsity: 1 - nKeep / n,
    density: nKeep / n,
    threshold,
    preservedMass: Math.min(1, keptSum / statistics.sum),
    preservedMassBound: preservedMassBound(n, nEff, nKeep, excess),
    preservedMassBoundPaper: preservedMassBoundPaper(n, nKeep, rule.beta),
    ...rule,
    keepMask,
  };
}

function empCount({ beta }: Rule): KeepRule {
  return (statistics) => keepCount(effectiveSampleSize(statistics), beta, statistics.n);
}

/** Scores that were shifted have no negatives left. */
function kernelSign({ sign }: Rule): 'abs' | 'clamp' {
  return sign === 'clamp' ? 'clamp' : 'abs';
}

function allZero({ name }: ScoreGroups, group: number, { sign }: Rule): Error {
  const after = sign === 'abs' ? '' : ` after sign "${sign}"`;
  return scoreError(
    'all_zero_scores',
    name(group),
    `are all zero${after}, which has no effective sample size`,
  );
}

/**
 * One kernel of each kind for all decisions of a thread: each leaves nothing behind in it when others get their turn.
 */
const kernels: { wasm?: WasmKernel; plain?: PlainKernel } = {};

function sharedKernel(dtype: FloatDtype): SelectionKernel {
  if (dtype === 'float64') {
    kernels.plain ??= new PlainKernel();
    return kernels.plain;
  }
  kernels.wasm ??= new WasmKernel();
  return kernels.wasm;
}
