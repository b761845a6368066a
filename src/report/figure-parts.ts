/** The figures of decisions, of plain numbers. */
import type { DecisionFigure } from './decision-schema.ts';
import {
  accuracy,
  bytes,
  count,
  ERRORS,
  formatNumber,
  formatPoints,
  isNoise,
  percent,
  unseenShare,
} from './wording.ts';

/** Compressed sizes that differ by less nobody would call different. */
export const SIZE_NOISE = 0.005;

export const NO_DIFFERENCE = 'no difference';
export const NOT_KNOWN = 'not known';
const UNCHANGED = 'the same in all samples';
const NO_BOUNDS = { low: null, high: null };

type Name = DecisionFigure['name'];

/** Bytes; null of a dry run. */
export function sizeFigure(
  name: Name,
  title: string,
  value: number | null,
  was: number,
  how: string,
): DecisionFigure {
  const isDifference = value === null ? null : Math.abs(value - was) > SIZE_NOISE * was;
  return {
    ...{ name, title, value, was, ...NO_BOUNDS, is_difference: isDifference },
    text: value === null ? 'not written' : isDifference ? bytes(value) : NO_DIFFERENCE,
    interval: value === null ? 'a dry run' : how,
    before: isDifference === false ? `${bytes(value ?? was)}, was ${bytes(was)}` : `was ${bytes(was)}`,
  };
}

/** A count, which is exact; null of a dry run. */
export function countFigure(
  name: Name,
  title: string,
  value: number | null,
  was: number,
  how: string,
): DecisionFigure {
  const isDifference = value === null ? null : value !== was;
  return {
    ...{ name, title, value, was, ...NO_BOUNDS, is_difference: isDifference },
    text: value === null ? 'not written' : isDifference ? count(value) : NO_DIFFERENCE,
    interval: value === null ? 'a dry run' : how,
    before: `was ${count(was)}`,
  };
}

/** What nobody has measured. */
export function unknownFigure(name: Name, title: string, why: string): DecisionFigure {
  return {
    ...{ name, title, value: null, was: null, ...NO_BOUNDS, is_difference: null },
    ...{ text: NOT_KNOWN, interval: why, before: 'was not measured' },
  };
}

interface Measured {
  readonly value: number | null;
  readonly was: number;
  /** Standard error of the difference; null where it is not known. */
  readonly error: number | null;
  /** Of what a target bounds the change is told, inside the noise too: it is what the target is judged by. */
  readonly isPromised?: boolean;
}

/** A share, which may change where none of so many samples was seen to. */
interface MeasuredShare extends Measured {
  readonly value: number;
  /** Null where it is not known. */
  readonly nSamples: number | null;
}

/** Null is not finite. */
export function lossFigure(
  title: string,
  { value, was, error, isPromised = false }: Measured,
  show: (amount: number) => string,
): DecisionFigure {
  const base = { name: 'loss' as const, title, value, was, ...boundsOf(value, marginOf(error)) };
  if (value === null)
    return {
      ...{ ...base, is_difference: true, text: 'not finite' },
      ...{ interval: 'NaN or infinite', before: `was ${formatNumber(was)}` },
    };
  const isDifference = differs(value - was, error, was);
  const change = value === was ? show(0) : `${value < was ? '−' : '+'}${show(Math.abs(value - was))}`;
  const isTold = isPromised || isDifference !== false;
  return {
    ...{ ...base, is_difference: isDifference },
    text: isTold ? change : NO_DIFFERENCE,
    interval: error === 0 && value === was ? UNCHANGED : intervalOf(marginOf(error), show),
    before: `${formatNumber(value)}, was ${formatNumber(was)}${isTold || value === was ? '' : ` (${change})`}`,
  };
}

export function accuracyFigure({
  value,
  was,
  error,
  nSamples,
  isPromised = false,
}: MeasuredShare): DecisionFigure {
  const margin = marginOf(error, nSamples);
  const isDifference = differs(value - was, error);
  const change = formatPoints(value - was, null);
  const [now, then] = [accuracy(value), accuracy(was)];
  return {
    ...{ name: 'accuracy', title: 'Accuracy', value, was, ...boundsOf(value, margin) },
    is_difference: isDifference,
    text: isPromised ? change : isDifference === false ? NO_DIFFERENCE : now,
    interval: shareInterval(error, nSamples),
    before: isPromised
      ? `${now}, was ${then}`
      : isDifference === false
        ? `${now}, was ${then}${value === was ? '' : ` (${change})`}`
        : `was ${then}`,
  };
}

export function driftFigure(value: number | null, error: number | null): DecisionFigure {
  return {
    ...{ name: 'drift', title: 'Outputs move', value, was: 0, ...boundsOf(value, marginOf(error)) },
    is_difference: value === null ? true : value > 0,
    text: value === null ? 'not finite' : value > 0 ? percent(value) : NO_DIFFERENCE,
    interval: error === 0 && value === 0 ? UNCHANGED : intervalOf(marginOf(error), percent),
    before: 'relative L2; no labels',
  };
}

export function agreementFigure({ value, error, nSamples }: Omit<MeasuredShare, 'was'>): DecisionFigure {
  const bounds = boundsOf(value, marginOf(error, nSamples));
  return {
    ...{ name: 'agreement', title: 'Same predictions', value, was: 1, ...bounds },
    is_difference: value < 1,
    text: value < 1 ? percent(value) : NO_DIFFERENCE,
    interval: shareInterval(error, nSamples),
    before: 'as the dense model; no labels',
  };
}

/** How many times as fast, with the interval of that. */
export function speedFigure(
  { speedup, low, high }: { readonly speedup: number; readonly low: number; readonly high: number },
  isDifference: boolean,
  interval: string,
  before: string,
): DecisionFigure {
  return {
    ...{ name: 'speed', title: 'Speed', value: speedup, was: 1, low, high, is_difference: isDifference },
    text: isDifference ? `${speedup.toFixed(2)} × as fast` : NO_DIFFERENCE,
    ...{ interval, before },
  };
}

function boundsOf(value: number | null, margin: number | null): Pick<DecisionFigure, 'low' | 'high'> {
  if (value === null || margin === null) return NO_BOUNDS;
  return { low: value - margin, high: value + margin };
}

/** Null where the noise is not known. */
function differs(change: number, error: number | null, was?: number): boolean | null {
  if (change !== 0 && error === null) return null;
  return !isNoise(change, error, was);
}

/** What stands behind a ±; of a share that no sample was seen to change what may be unseen. */
function marginOf(error: number | null, nSamples: number | null = null): number | null {
  if (error === null) return null;
  return error === 0 && nSamples !== null ? unseenShare(nSamples) : ERRORS * error;
}

function intervalOf(margin: number | null, show: (amount: number) => string): string {
  return margin === null ? 'no interval is known' : `± ${show(margin)}`;
}

/** None that changes is no certainty. */
function shareInterval(error: number | null, nSamples: number | null): string {
  if (error !== 0) return intervalOf(marginOf(error), asPoints);
  if (nSamples === null) return UNCHANGED;
  return `± ${asPoints(unseenShare(nSamples))} (the same in all ${count(nSamples)} samples)`;
}

const asPoints = (amount: number): string => `${(100 * amount).toFixed(2)} points`;
