/** The figures of decisions, of plain numbers. */
import type { DecisionFigure } from './decision-schema.ts';
import { accuracy, bytes, count, ERRORS, formatNumber, percent } from './wording.ts';

/** Compressed sizes that differ by less nobody would call different. */
export const SIZE_NOISE = 0.005;

export const NO_DIFFERENCE = 'no difference';
export const NOT_KNOWN = 'not known';
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
    before: `was ${bytes(was)}`,
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
}

/** Null is not finite. */
export function lossFigure(
  title: string,
  { value, was, error }: Measured,
  show: (amount: number) => string,
): DecisionFigure {
  const base = { name: 'loss' as const, title, value, was, ...boundsOf(value, error) };
  if (value === null)
    return {
      ...{ ...base, is_difference: true, text: 'not finite' },
      ...{ interval: 'NaN or infinite', before: `was ${formatNumber(was)}` },
    };
  const isDifference = differs(value - was, error);
  const change = `${value < was ? '−' : '+'}${show(Math.abs(value - was))}`;
  return {
    ...{ ...base, is_difference: isDifference },
    text: isDifference === false ? NO_DIFFERENCE : change,
    interval: intervalOf(error, show),
    before: `${formatNumber(value)}, was ${formatNumber(was)}`,
  };
}

export function accuracyFigure({ value, was, error }: Measured & { readonly value: number }): DecisionFigure {
  const isDifference = differs(value - was, error);
  return {
    ...{ name: 'accuracy', title: 'Accuracy', value, was, ...boundsOf(value, error) },
    is_difference: isDifference,
    text: isDifference === false ? NO_DIFFERENCE : accuracy(value),
    interval: intervalOf(error, asPoints),
    before: isDifference === false ? `${accuracy(value)}, was ${accuracy(was)}` : `was ${accuracy(was)}`,
  };
}

export function driftFigure(value: number | null, error: number | null): DecisionFigure {
  return {
    ...{ name: 'drift', title: 'Outputs move', value, was: 0, ...boundsOf(value, error) },
    is_difference: value === null ? true : value > 0,
    text: value === null ? 'not finite' : value > 0 ? percent(value) : NO_DIFFERENCE,
    interval: intervalOf(error, percent),
    before: 'relative L2; no labels',
  };
}

export function agreementFigure(value: number, error: number | null): DecisionFigure {
  return {
    ...{ name: 'agreement', title: 'Same predictions', value, was: 1, ...boundsOf(value, error) },
    is_difference: value < 1,
    text: value < 1 ? percent(value) : NO_DIFFERENCE,
    interval: intervalOf(error, asPoints),
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

function boundsOf(value: number | null, error: number | null): Pick<DecisionFigure, 'low' | 'high'> {
  if (value === null || error === null) return NO_BOUNDS;
  return { low: value - ERRORS * error, high: value + ERRORS * error };
}

/** Null where the noise is not known. */
function differs(change: number, error: number | null): boolean | null {
  if (change === 0) return false;
  return error === null ? null : Math.abs(change) >= ERRORS * error;
}

function intervalOf(error: number | null, show: (amount: number) => string): string {
  return error === null ? 'no interval is known' : `± ${show(ERRORS * error)}`;
}

const asPoints = (amount: number): string => `${(100 * amount).toFixed(2)} points`;
