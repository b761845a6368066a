/** Pieces of Markdown in which whatever names of a client hold stays text. */

export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_<>[\]|#~&]/g, (character) => `\\${character}`).replace(/\s+/g, ' ');
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** Of a heading above it. */
export const markdownSection = (title: string, ...parts: readonly string[]): string =>
  [`## ${title}`, ...parts].join('\n\n');

/** A block of code, fenced by more backticks than it holds in a row. */
export function markdownCode(code: string, language: string): string {
  const longest = Math.max(2, ...(code.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${code}\n${fence}`;
}

/** What is opened by those who ask for it. */
export const markdownFolded = (summary: string, ...parts: readonly string[]): string =>
  [`<details><summary>${summary}</summary>`, ...parts, '</details>'].join('\n\n');
