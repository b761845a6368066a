import type { DEFAULT_CANDIDATES, MAX_CANDIDATES } from '../recipe/lines.ts';
import type { TARGETS, TargetName } from '../recipe/terms.ts';
import { PROMISES } from './promise-words.ts';

export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly isMaxAllowed: boolean;
  readonly isWhole: boolean;
  /** What is counted; empty where a number has none. */
  readonly unit: string;
}

type Limits = { readonly [Name in TargetName]: Pick<(typeof TARGETS)[Name], 'max' | 'isMaxAllowed'> };

/** As the API has them, whose types hold these figures to its own. */
const LIMITS: Limits = {
  max_accuracy_drop: { max: 1, isMaxAllowed: false },
  max_loss_increase: { max: 100, isMaxAllowed: true },
  max_disagreement: { max: 1, isMaxAllowed: false },
  max_relative_l2: { max: 100, isMaxAllowed: true },
  max_cosine_distance: { max: 2, isMaxAllowed: false },
  max_kl: { max: 100, isMaxAllowed: true },
};
const MOST_MODELS: typeof MAX_CANDIDATES = 1000;
export const PRESET_MODELS: typeof DEFAULT_CANDIDATES = 120;
export const MODELS: Bounds = { min: 1, max: MOST_MODELS, isMaxAllowed: true, isWhole: true, unit: 'models' };

/** Of the amount that is typed for a promise, in its unit. */
export function boundsOf(name: TargetName): Bounds {
  const { unit, scale } = PROMISES[name];
  const { max, isMaxAllowed } = LIMITS[name];
  return { min: 0, max: max / scale, isMaxAllowed, isWhole: false, unit };
}

/** What is typed as a number, without what binary fractions add; NaN for none. */
export function numberOf(typed: string): number {
  return typed.trim() === '' ? Number.NaN : Number(Number(typed).toPrecision(12));
}

/** What is wrong with what is typed, and what would be right; null for nothing. */
export function problemOf(typed: string, bounds: Bounds): string | null {
  const { min, max, isMaxAllowed, isWhole, unit } = bounds;
  const value = numberOf(typed);
  const isInRange = value >= min && (isMaxAllowed ? value <= max : value < max);
  if (isInRange && (!isWhole || Number.isInteger(value))) return null;
  const range = `from ${min} ${isMaxAllowed ? 'to' : 'to less than'} ${max.toLocaleString('en-US')}`;
  return `Type a ${isWhole ? 'whole ' : ''}number ${range}${unit === '' ? '' : ` ${unit}`}.`;
}
