/** Numbers, counts and lists as text, for sentences; and as the page shows them, where a number and its unit stay on one line. */
import type { Noun } from '../recipe/terms.ts';

/** So many standard errors stand behind a ±, some 95 %: a change that is smaller may be chance. */
export const ERRORS = 2;

/** What may change of all samples where none of so many was seen to: 3 / n, some 95 % (the rule of three). */
export const unseenShare = (nSamples: number): number => Math.min(1, 3 / nSamples);

/** More than this share of what changes, a change is told whatever its interval. */
const DOUBLED = 1;

/**
 * Whether a change may be chance. Two standard errors are an interval of many samples that count alike: where a few carry a loss that more than doubles, they hide what is there.
 * @param was what rises with the change; infinite where it has a limit, as an accuracy has
 */
export function isNoise(
  change: number,
  standardError: number | null,
  was = Number.POSITIVE_INFINITY,
): boolean {
  if (change === 0) return true;
  if (standardError === null || change > DOUBLED * was) return false;
  return Math.abs(change) <= ERRORS * standardError;
}

export const count = (value: number): string => value.toLocaleString('en-US');

/** Of a count the noun in its number: `1 head`, `12 heads`. */
export const counted = (value: number, { one, many }: Noun): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** More names than this are counted. */
const MAX_NAMES = 10;

/** `a, b`, or the first of many and how many more there are. */
export function listNames(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  if (more <= 1) return names.join(', ');
  return `${names.slice(0, MAX_NAMES).join(', ')} and ${count(more)} more`;
}

/** For the start of a title. */
export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Of several sentences those that there are. */
export const joined = (...sentences: readonly (string | null)[]): string =>
  sentences.filter((sentence) => sentence !== null).join(' ');

/** A figure as text; null where there is none. */
export const ifKnown = <T>(figure: number | null, show: (figure: number) => T): T | null =>
  figure === null ? null : show(figure);

/** Four significant digits. */
export const number = (value: number): string => String(Number(value.toPrecision(4)));

/** A share of almost nothing or almost all is not rounded to nothing or all. */
export function percent(share: number): string {
  const rounded = (100 * share).toFixed(1);
  if (rounded === '0.0' && share > 0) return '< 0.1 %';
  if (rounded === '100.0' && share < 1) return '> 99.9 %';
  return `${rounded} %`;
}

/** To a tenth, downwards: a guarantee must not promise more than it holds. */
export const guarantee = (share: number): string => percent(Math.floor(1000 * share) / 1000);

/** Two decimals: a hundredth of a point is one of ten thousand samples. */
export const accuracy = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** A limit of a difference of two shares: `1 point`, `0.5 points`. */
export const pointLimit = (limit: number): string =>
  `${number(100 * limit)} ${limit === 0.01 ? 'point' : 'points'}`;

/** A difference of two shares. */
export function points(difference: number): string {
  const rounded = (100 * difference).toFixed(2);
  return `${rounded === '0.00' && difference > 0 ? '< 0.01' : rounded} points`;
}

/** Only what is the same has cosine 1. */
export const cosine = (value: number): string => (value < 1 ? Math.min(value, 0.9999).toFixed(4) : '1');

/** How many times as much. */
export const times = (value: number, reference: number): string => (value / reference).toFixed(2);

export function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? `${value} bytes` : `${(value / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

const INTEGERS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
const SUPERSCRIPTS: Readonly<Record<string, string>> = Object.fromEntries(
  [...'-0123456789'].map((character, i) => [character, [...'⁻⁰¹²³⁴⁵⁶⁷⁸⁹'][i]]),
);
const MINUS = '\u2212';

const unbroken = (text: string): string => text.replaceAll(' ', '\u00a0');

export const formatPercent = (share: number): string => unbroken(percent(share));
export const formatGuarantee = (share: number): string => unbroken(guarantee(share));
export const formatAccuracy = (share: number): string => unbroken(accuracy(share));
export const formatBytes = (value: number): string => unbroken(bytes(value));
export const formatMilliseconds = (value: number): string => unbroken(`${formatNumber(value)} ms`);

/** A percentage for the ticks of an axis. */
export const formatTick = (share: number): string => `${Number((100 * share).toFixed(2))}%`;

/** For axes: 12.5K, 3M. */
export const formatCompact = (value: number): string => COMPACT.format(value);

export function formatPowerOfTen(exponent: number): string {
  return `10${[...String(exponent)].map((character) => SUPERSCRIPTS[character]).join('')}`;
}

/** Four significant digits, or whole from a thousand on; powers of ten where there would be many zeros. */
export function formatNumber(value: number, digits = 4): string {
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : '';
  if (size === 0) return '0';
  if (size >= 1000 && size < 1e12) return `${sign}${INTEGERS.format(size)}`;
  const [mantissa, exponent] = size.toExponential(digits - 1).split('e');
  if (size < 1e-3 || size >= 1e12)
    return unbroken(`${sign}${mantissa} × ${formatPowerOfTen(Number(exponent))}`);
  return `${sign}${size.toPrecision(digits)}`;
}

/** A change with its sign and interval, as exact as that is to two digits where it is known. */
export function formatChange(change: number, standardError: number | null): string {
  if (!standardError) return change > 0 ? `+${formatNumber(change, 3)}` : formatNumber(change, 3);
  const margin = ERRORS * standardError;
  const decimals = Math.min(20, Math.max(0, 1 - Math.floor(Math.log10(margin))));
  return `${signed(change, decimals)} ± ${margin.toFixed(decimals)}`;
}

/** The change from what was: in percent, or where that would be thousands of them, how many times as much. */
export function formatRelativeChange(value: number, reference: number): string {
  const ratio = value / reference;
  return unbroken(ratio > 10 ? `${formatNumber(ratio)} times` : `${signed(100 * (ratio - 1), 1)} %`);
}

/** A difference of two shares in percentage points, with its interval. */
export function formatPoints(difference: number, standardError: number | null): string {
  const error = standardError === null ? '' : ` ± ${(100 * ERRORS * standardError).toFixed(2)}`;
  return `${signed(100 * difference, 2)}${error} points`;
}

/** Zero has no sign, whichever side it was rounded from. */
function signed(value: number, decimals: number): string {
  const rounded = Math.abs(value).toFixed(decimals);
  if (Number(rounded) === 0) return rounded;
  return `${value < 0 ? MINUS : '+'}${rounded}`;
}

/** A text as any POSIX shell reads it, whatever is in it. */
export const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The same without quotes where a shell takes it as it is. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : shellQuoted(text));
