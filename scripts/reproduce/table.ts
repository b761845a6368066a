import { count as formatCount, times } from '../../src/report/wording.ts';

/** A Markdown table; columns after the first `textColumns` hold numbers. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  textColumns = 1,
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i < textColumns ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** What there is no figure of. */
export const NONE = '-';

const orNone = (format: (x: number) => string) => (x: number | null | undefined) =>
  x === null || x === undefined ? NONE : format(x);

/** A share in percent. */
export const percent = orNone((x) => (100 * x).toFixed(2));
export const loss = orNone((x) => x.toFixed(4));
export const perplexity = orNone((x) => x.toFixed(3));
export const count = orNone(formatCount);
/** A relative change in percent, with its sign. */
export const change = orNone((x) => signed(100 * x, 2));

/** A zero has no sign, whichever side it was rounded from. */
export function signed(x: number, digits: number): string {
  const text = x.toFixed(digits);
  if (Number(text) === 0) return (0).toFixed(digits);
  return x > 0 ? `+${text}` : text;
}

/** How many times as fast. */
export function ratio(dense: number | null | undefined, pruned: number | null | undefined): string {
  return typeof dense === 'number' && typeof pruned === 'number' ? times(dense, pruned) : NONE;
}
