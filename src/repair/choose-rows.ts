import { SKETCH, WHOLE } from './conjugate-gradients.ts';
import type { PerElement } from './fittable-layers.ts';
import type { RowSolver } from './row-solver.ts';
import type { RowSystem } from './row-system.ts';

/** Rows come down to what they keep in so many steps: fewer cost accuracy where most goes, more gain little. */
const STEPS = 6;

/** Rows fitted, and which of their elements they keep: 1 or 0. Both `[groups, rows, features]`. */
interface ChosenRows {
  readonly rows: Float64Array;
  readonly kept: Uint8Array;
}

/**
 * Fits rows that keep as many elements as `scored` keeps of each, which ones being chosen on the way. At step s of S a row of d elements that is to keep k comes down to `d (k / d)^(s / S)`: of those still kept the ones whose loss costs
 * most once the others make up for it, `x_j^2 / [A^-1]_jj` with `A = X' X + damping` (optimal brain surgeon), equal ones by index, lowest first. Then what is kept is fitted anew, from where it was. Elements that are zero in the dense row stay zero. Rows of a group without damping,
 * which no sample reaches, keep what `scored` keeps.
 * @param system with the dense rows as its start
 * @param scored 1 or 0, as the result
 * @param inverse the diagonal of `A^-1` of each group, `[groups, features]`
 */
export async function chooseRows(
  system: RowSystem,
  scored: Uint8Array,
  inverse: Float64Array,
  solver: RowSolver,
): Promise<ChosenRows> {
  const { groups, rows, features, start: dense, damping } = system;
  const kept = new Uint8Array(dense.length).fill(1);
  let found = dense;
  for (let step = 1; step <= STEPS; step++) {
    for (let row = 0; row < groups * rows; row++) {
      const group = Math.floor(row / rows);
      const own = <T extends PerElement>(all: T, at = row) =>
        all.subarray(at * features, (at + 1) * features) as T;
      if (damping[group] > 0) narrow(own(kept), countAt(step, own(scored)), own(found), own(inverse, group));
      else own(kept).set(own(scored));
    }
    // No product with 0, which has a sign.
    const onlyKept = (values: Float64Array) => values.map((value, i) => (kept[i] === 1 ? value : 0));
    found = await solver.solve(
      { ...system, start: onlyKept(dense), from: onlyKept(found) },
      step < STEPS ? SKETCH : WHOLE,
    );
    if (!found.every(Number.isFinite)) break;
  }
  return { rows: found, kept };
}

function countAt(step: number, scored: Uint8Array): number {
  const [d, k] = [scored.length, scored.reduce((sum, keep) => sum + keep, 0)];
  return step < STEPS ? Math.max(k, Math.ceil(d * (k / d) ** (step / STEPS))) : k;
}

/** Leaves `count` of what a row keeps. */
function narrow(kept: Uint8Array, count: number, found: Float64Array, inverse: Float64Array): void {
  const scores = found.map((value, i) => (kept[i] === 1 ? value ** 2 / inverse[i] : -1));
  const threshold = count > 0 ? scores.toSorted()[scores.length - count] : Number.POSITIVE_INFINITY;
  let ties = count - scores.reduce((sum, score) => sum + Number(score > threshold), 0);
  for (const [i, score] of scores.entries()) {
    const keep = score > threshold || (score === threshold && ties-- > 0);
    kept[i] = Number(keep);
  }
}
