import { preservedMassBound } from '../../core/bounds.ts';
import { EmpError } from '../../core/errors.ts';
import { BLOCK, BLOCK_PARTIALS } from '../../core/kernel.ts';
import { PlainKernel } from '../../core/plain-kernel.ts';
import {
  effectiveSampleSize,
  rescale,
  type ScoreStatistics,
  scaleExponent,
  statisticsOfBlocks,
  sumOf,
} from '../../core/statistics.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import type { Family } from '../../structure/families.ts';
import type { LastingAxis } from '../../structure/lasting-axes.ts';
import { type Amount, countOf, minimumKept } from '../amount.ts';

/** With fewer structures the floor of `N_eff` removes one of them for next to nothing: such families are decided on together. */
const SMALL_FAMILY = 8;

/** Scores that share one `N_eff`: positions of families among those given. */
type Group = readonly number[];

/** What is decided of one family. */
export interface FamilyDecision {
  readonly family: Family;
  /** In the order of its structures. */
  readonly scores: Float64Array;
  readonly kept: readonly boolean[];
  readonly nKeep: number;
  /** Of the family's own scores; null where all are zero. */
  readonly nEff: number | null;
  /** The smallest kept score. */
  readonly threshold: number;
  /** Kept share of the family's own mass; null where all scores are zero. */
  readonly preservedMass: number | null;
  /** Whether `min_density`, or that one has to stay, kept more than the count of its group would, rounding aside. */
  readonly isRaised: boolean;
}

export interface StructureDecision {
  readonly families: readonly FamilyDecision[];
  /** The one `N_eff` and threshold of scope `global`. */
  readonly global: { readonly nEff: number; readonly threshold: number } | null;
  /** Kept share of the mass of all families. */
  readonly preservedMass: number;
  readonly preservedMassBound: number;
  /** Names of families that were decided on together, for they are small. */
  readonly pooled: readonly string[];
  /** Share of the structures that go. */
  readonly sparsity: number;
}

interface DecideInput {
  readonly families: readonly Family[];
  readonly scores: readonly Float64Array[];
  readonly amount: Amount;
  readonly scope: Recipe['scope'];
  /** Of each family: its kept count is rounded up to a multiple of it. */
  readonly steps: readonly number[];
  /** Axes that have to keep a position, though the families along them would keep a structure elsewhere. */
  readonly lasting: readonly LastingAxis[];
}

/**
 * EMP on structures: each group keeps its `floor(beta * N_eff)` highest scores (equal ones in the families' order), and then every family as many more of its own, highest first, as
 * rounding and `min_density` ask for: one at least, for nothing passes through an empty axis, and one for each part that a family is cut into.
 */
export function decideStructures(input: DecideInput): StructureDecision {
  const { families, scores, amount, scope, steps, lasting } = input;
  refuseNonFinite(families, scores);
  const groups = groupsOf(families, scope);
  const kept = families.map(({ structures }) => structures.map(() => true));
  const masses = massesOf(scores);
  let [mass, guaranteed] = [0, 0];
  let global: StructureDecision['global'] = null;
  for (const group of groups) {
    const ranked = rank(group, scores);
    const statistics = statisticsOf(Float64Array.from(ranked, ({ score }) => score));
    if (statistics.max === 0) {
      // Has no N_eff: it is left as it is, but for what nothing reads.
      const nKeep = amount.sparsity === null ? 0 : countOf(amount, statistics);
      for (const { family, index } of ranked.slice(nKeep)) kept[family][index] = !families[family].isUnread;
      continue;
    }
    const nEff = effectiveSampleSize(statistics);
    const nKeep = countOf(amount, statistics);
    const total = group.reduce((sum, family) => sum + sumOf(masses[family]), 0);
    for (const { family, index } of ranked.slice(nKeep)) kept[family][index] = false;
    mass += total;
    guaranteed += total * preservedMassBound(ranked.length, nEff, nKeep);
    if (scope === 'global') global = { nEff, threshold: ranked[nKeep - 1].score };
  }
  const complete = (family: number) =>
    completeFamily(
      families[family],
      scores[family],
      masses[family],
      kept[family],
      steps[family],
      amount.minDensity,
    );
  const decided = families.map((_, family) => complete(family));
  for (const family of keepLasting(families, scores, kept, lasting))
    decided[family] = { ...complete(family), isRaised: true };
  const preserved = masses.reduce(
    (sum, own, family) => sum + sumOf(own.filter((_, i) => kept[family][i])),
    0,
  );
  const n = decided.reduce((sum, family) => sum + family.kept.length, 0);
  const nKept = decided.reduce((sum, { nKeep }) => sum + nKeep, 0);
  const pooled = groups.filter((group) => scope === 'layer' && group.length > 1).flat();
  return {
    families: decided,
    global,
    preservedMass: mass > 0 ? Math.min(1, preserved / mass) : 1,
    preservedMassBound: mass > 0 ? Math.min(1, guaranteed / mass) : 1,
    pooled: pooled.map((family) => families[family].name),
    sparsity: 1 - nKept / n,
  };
}

function groupsOf(families: readonly Family[], scope: Recipe['scope']): Group[] {
  const all = [...families.keys()];
  if (scope === 'global') return [all];
  const isSmall = (family: number) => families[family].structures.length < SMALL_FAMILY;
  const small = all.filter(isSmall);
  const single = all.filter((family) => !isSmall(family)).map((family) => [family]);
  return small.length > 0 ? [...single, small] : single;
}

/** Keeps the best position of every axis that would have none. Returns the families that keep more for it. */
function keepLasting(
  families: readonly Family[],
  scores: readonly Float64Array[],
  kept: readonly boolean[][],
  lasting: readonly LastingAxis[],
): Set<number> {
  const places = new Map<number, Ranked>();
  if (lasting.length > 0) {
    for (const [family, { structures }] of families.entries())
      for (const [index, { root }] of structures.entries())
        places.set(root, { family, index, score: scores[family][index] });
  }
  const raised = new Set<number>();
  for (const axis of lasting) {
    const gone = axis.map((roots) =>
      roots.flatMap((root) => places.get(root) ?? []).filter(({ family, index }) => !kept[family][index]),
    );
    if (gone.some((position) => position.length === 0)) continue;
    const weakest = (position: readonly Ranked[]) =>
      position.reduce((least, { score }) => Math.min(least, score), Number.POSITIVE_INFINITY);
    const best = gone.reduce((most, position) => (weakest(position) > weakest(most) ? position : most));
    for (const { family, index } of best) {
      kept[family][index] = true;
      raised.add(family);
    }
  }
  return raised;
}

interface Ranked {
  readonly family: number;
  readonly index: number;
  readonly score: number;
}

/** Highest first, equal ones in order. */
function rank(group: Group, scores: readonly Float64Array[]): Ranked[] {
  return group
    .flatMap((family) => Array.from(scores[family], (score, index) => ({ family, index, score })))
    .sort((a, b) => b.score - a.score || a.family - b.family || a.index - b.index);
}

function completeFamily(
  family: Family,
  scores: Float64Array,
  masses: Float64Array,
  kept: boolean[],
  step: number,
  minDensity: number,
): FamilyDecision {
  const n = scores.length;
  const counted = kept.filter(Boolean).length;
  const nLeast = Math.max(1, counted, minimumKept(n, minDensity));
  const nKeep = Math.min(n, Math.ceil(nLeast / step) * step);
  const others = rank([0], [scores]).filter(({ index }) => !kept[index]);
  for (const { index } of others.slice(0, nKeep - counted)) kept[index] = true;
  const mass = sumOf(masses);
  const isKept = (_: number, index: number) => kept[index];
  return {
    family,
    scores,
    kept,
    nKeep,
    nEff: mass > 0 ? effectiveSampleSize(statisticsOf(scores)) : null,
    threshold: scores
      .filter(isKept)
      .reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY),
    preservedMass: mass > 0 ? Math.min(1, sumOf(masses.filter(isKept)) / mass) : null,
    isRaised: nLeast > counted,
  };
}

/** Scores at one scale, by which neither their sums overflow nor those that matter underflow. */
function massesOf(scores: readonly Float64Array[]): Float64Array[] {
  const exponent = scaleExponent(scores.reduce((most, own) => own.reduce((a, b) => Math.max(a, b), most), 0));
  return scores.map((own) => own.map((score) => rescale(score, exponent)));
}

/** A kernel that holds scores, and room for what it finds of each block. */
export function loadScores(scores: Float64Array): { kernel: PlainKernel; partials: Float64Array } {
  const blocks = Math.ceil(scores.length / BLOCK);
  const kernel = new PlainKernel(blocks * BLOCK);
  kernel
    .input('float64', scores.length)
    .set(new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength));
  kernel.load('float64', scores.length);
  return { kernel, partials: new Float64Array(blocks * BLOCK_PARTIALS) };
}

function statisticsOf(scores: Float64Array): ScoreStatistics {
  const { kernel, partials } = loadScores(scores);
  kernel.statistics(partials, 0);
  return statisticsOfBlocks(partials, scores.length);
}

function refuseNonFinite(families: readonly Family[], scores: readonly Float64Array[]): void {
  for (const [i, { name }] of families.entries()) {
    const index = scores[i].findIndex((score) => !Number.isFinite(score));
    if (index < 0) continue;
    const message = `structure ${index} has the score ${scores[i][index]}`;
    throw new EmpError('non_finite_score', `${name}: ${message}`, [{ path: name, message }]);
  }
}
