import { bytes, count, guarantee, percent } from '../wording.ts';

const INTEGERS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
const GRAPHEMES = new Intl.Segmenter('en');
const SUPERSCRIPTS: Readonly<Record<string, string>> = Object.fromEntries(
  [...'-0123456789'].map((character, i) => [character, [...'⁻⁰¹²³⁴⁵⁶⁷⁸⁹'][i]]),
);
/** Keeps a number and its unit on one line. */
const SPACE = '\u00a0';
const MINUS = '\u2212';

export const formatCount = count;

/** For axes: 12.5K, 3M. */
export function formatCompact(value: number): string {
  return COMPACT.format(value);
}

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
    return `${sign}${mantissa} × ${formatPowerOfTen(Number(exponent))}`.replaceAll(' ', SPACE);
  return `${sign}${size.toPrecision(digits)}`;
}

export function formatPercent(share: number): string {
  return unbroken(percent(share));
}

export function formatGuarantee(share: number): string {
  return unbroken(guarantee(share));
}

export function formatBytes(value: number): string {
  return unbroken(bytes(value));
}

function unbroken(text: string): string {
  return text.replaceAll(' ', SPACE);
}

/** A change with its sign, as exact as its standard error is to two digits where that is known. */
export function formatChange(change: number, standardError: number | null): string {
  if (!standardError) return change > 0 ? `+${formatNumber(change, 3)}` : formatNumber(change, 3);
  const decimals = Math.min(20, Math.max(0, 1 - Math.floor(Math.log10(standardError))));
  return `${withSign(change, decimals)} ± ${standardError.toFixed(decimals)}`;
}

/** The change from what was: in percent, or where that would be thousands of them, how many times as much. */
export function formatRelativeChange(value: number, reference: number): string {
  const ratio = value / reference;
  if (ratio > 10) return `${formatNumber(ratio)}${SPACE}times`;
  return `${withSign(100 * (ratio - 1), 1)}${SPACE}%`;
}

/** A difference of two shares in percentage points. */
export function formatPoints(difference: number, standardError: number | null = null): string {
  const error = standardError === null ? '' : ` ± ${(100 * standardError).toFixed(2)}`;
  return `${withSign(100 * difference, 2)}${error} points`;
}

function withSign(value: number, decimals: number): string {
  const rounded = Math.abs(value).toFixed(decimals);
  if (Number(rounded) === 0) return rounded;
  return `${value < 0 ? MINUS : '+'}${rounded}`;
}

/** A name for charts, where characters that would break or turn a line cannot be had: they are made visible. */
export function visibleName(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '�');
}

/** The name in at most `columns` columns of text, its middle left out. */
export function shortenName(name: string, columns: number): string {
  const parts = graphemesOf(name);
  const widths = parts.map(columnsOf);
  if (sum(widths) <= columns) return parts.join('');
  let [start, end] = [0, parts.length];
  for (let room = columns - 1; ; ) {
    const fromStart = start <= parts.length - end;
    const next = fromStart ? start : end - 1;
    room -= widths[next];
    if (room < 0) return `${parts.slice(0, start).join('')}…${parts.slice(end).join('')}`;
    if (fromStart) start++;
    else end--;
  }
}

/** How many columns a name takes. */
export function columnsOfText(name: string): number {
  return sum(graphemesOf(name).map(columnsOf));
}

function graphemesOf(name: string): string[] {
  return Array.from(GRAPHEMES.segment(visibleName(name)), ({ segment }) => segment);
}

/** East Asian characters and emoji are about two columns wide. */
function columnsOf(grapheme: string): number {
  return (grapheme.codePointAt(0) ?? 0) >= 0x2e80 ? 2 : 1;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
