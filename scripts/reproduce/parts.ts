/** What can be run alone, and the line of the document that it begins with. */
const FIRST_LINES = {
  paper: '# Reproduction',
  structures: '## Structures',
  targets: '## What one percent of loss buys',
  methods: '## Methods beside the paper',
  searches: '## Searches',
} as const;

export type Part = keyof typeof FIRST_LINES;
export type Texts = Partial<Readonly<Record<Part, string>>>;

export const PARTS = Object.keys(FIRST_LINES) as Part[];

/** @param text of a part without its first line */
export function formatPart(part: Part, text: string): string {
  return `${FIRST_LINES[part]}\n\n${text.trim()}\n`;
}

export function joinParts(texts: Texts): string {
  return PARTS.flatMap((part) => texts[part] ?? []).join('\n');
}

/** The parts that a document has. */
export function splitParts(document: string): Texts {
  const lines = document.trim().split('\n');
  const starts = PARTS.map((part) => ({ part, start: lines.indexOf(FIRST_LINES[part]) }))
    .filter(({ start }) => start >= 0)
    .sort((a, b) => a.start - b.start);
  return Object.fromEntries(
    starts.map(({ part, start }, i) => {
      const end = starts[i + 1]?.start ?? lines.length;
      return [part, `${lines.slice(start, end).join('\n').trim()}\n`];
    }),
  );
}
