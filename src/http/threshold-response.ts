import { EmpError } from '../core/errors.ts';
import { keptIndices } from '../core/keep-mask.ts';
import type { Decision } from '../core/threshold.ts';
import type { ThresholdOptions } from './schemas.ts';

/** As JSON numbers they take some 8 MB; the mask says the same in an eighth of a byte per score. */
export const MAX_KEPT_INDICES = 1_000_000;

export interface NamedDecision extends Decision {
  readonly name: string;
}

type Include = ThresholdOptions['include'];

/** A decision's figures, under the names of the HTTP contract. */
export function figuresOf(decision: Decision) {
  return {
    n: decision.n,
    n_eff: decision.nEff,
    n_keep: decision.nKeep,
    sparsity: decision.sparsity,
    density: decision.density,
    threshold: decision.threshold,
    preserved_mass: decision.preservedMass,
    preserved_mass_bound: decision.preservedMassBound,
    preserved_mass_bound_paper: decision.preservedMassBoundPaper,
    beta: decision.beta,
    sign: decision.sign,
  };
}

/** Figures of all groups together. */
export function totalOf(decisions: readonly Decision[]) {
  const n = decisions.reduce((sum, decision) => sum + decision.n, 0);
  const nKeep = decisions.reduce((sum, decision) => sum + decision.nKeep, 0);
  return { n, n_keep: nKeep, sparsity: 1 - nKeep / n };
}

/** The answer for one vector, as JSON text: masks and indices are written straight into it. */
export function vectorJson(decision: Decision, include: Include): string {
  refuseManyIndices(decision.nKeep, include);
  return decisionJson(decision, figuresOf(decision), include);
}

/** The answer for several groups, as JSON text. */
export function groupsJson(decisions: readonly NamedDecision[], include: Include): string {
  const total = totalOf(decisions);
  refuseManyIndices(total.n_keep, include);
  const groups = decisions.map((decision) =>
    decisionJson(decision, { name: decision.name, ...figuresOf(decision) }, include),
  );
  return `{"groups":[${groups.join(',')}],"total":${JSON.stringify(total)}}`;
}

function decisionJson({ keepMask, n }: Decision, figures: object, include: Include): string {
  let text = JSON.stringify(figures).slice(0, -1);
  if (include.includes('keep_mask')) text += `,"keep_mask":"${bufferOf(keepMask).toString('base64')}"`;
  if (include.includes('kept_indices')) text += `,"kept_indices":[${keptIndices(keepMask, n).join(',')}]`;
  return `${text}}`;
}

function refuseManyIndices(nKeep: number, include: Include): void {
  if (!include.includes('kept_indices') || nKeep <= MAX_KEPT_INDICES) return;
  throw new EmpError(
    'invalid_request',
    `${nKeep} scores are kept; kept_indices lists at most ${MAX_KEPT_INDICES}: ask for keep_mask, or for Accept: application/octet-stream`,
    [{ path: '/include', message: `kept_indices would list ${nKeep}, more than ${MAX_KEPT_INDICES}` }],
  );
}

/** The mask of rows of equal length as one mask over the whole array, row by row. */
export function joinKeepMasks(rows: readonly Decision[]): Buffer<ArrayBuffer> {
  const [{ n: columns, keepMask: first }] = rows;
  if (rows.length === 1) return bufferOf(first);
  const joined = Buffer.alloc(Math.ceil((rows.length * columns) / 8));
  for (const [row, { keepMask }] of rows.entries()) {
    const shift = (row * columns) % 8;
    const start = Math.floor((row * columns) / 8);
    for (let i = 0; i < keepMask.length; i++) {
      joined[start + i] |= keepMask[i] << shift;
      // Beyond the array's end there is nothing to spill.
      if (shift > 0 && start + i + 1 < joined.length) joined[start + i + 1] |= keepMask[i] >> (8 - shift);
    }
  }
  return joined;
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
