/** Numbers as plain sentences show them. */
import { GRANULARITIES, type Granularity } from '../recipe/terms.ts';

/** What is kept or removed. */
export const unitOf = (granularity: Granularity) => GRANULARITIES[granularity].unit;

export const count = (value: number): string => value.toLocaleString('en-US');

export const countUnits = (value: number, granularity: Granularity): string =>
  `${count(value)} ${value === 1 ? unitOf(granularity).one : unitOf(granularity).many}`;

/** More names than this are counted. */
const MAX_NAMES = 10;

/** `a, b`, or the first of many and how many more there are. */
export function listNames(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  if (more <= 1) return names.join(', ');
  return `${names.slice(0, MAX_NAMES).join(', ')} and ${count(more)} more`;
}

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

/** A difference of two shares. */
export function points(difference: number): string {
  const rounded = (100 * difference).toFixed(2);
  return `${rounded === '0.00' && difference > 0 ? '< 0.01' : rounded} points`;
}

export function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? `${value} bytes` : `${(value / 1000 ** power).toPrecision(3)} ${units[power]}`;
}
