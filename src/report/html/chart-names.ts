const GRAPHEMES = new Intl.Segmenter('en');

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
