/** Markup that is safe to put into the page: made by `html`, which escapes, or by a serializer. */
export class Markup {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

export type Content = Markup | string | number | null | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * A piece of the page. Whatever is filled in is text, in elements and in quoted attributes, unless it is `Markup` itself. Control
 * characters, which HTML knows none of, are made visible.
 */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(strings.reduce((source, string, i) => `${source}${sourceOf(contents[i - 1])}${string}`));
}

function sourceOf(content: Content): string {
  if (content === null) return '';
  if (content instanceof Markup) return content.source;
  if (typeof content === 'object') return content.map(sourceOf).join('');
  return String(content).replace(/[&<>"']|(?![\t\n])\p{Cc}/gu, (character) => ENTITIES[character] ?? '�');
}

/** One part of the page below its heading; null where it has nothing to say. */
export function section(id: string, title: string, content: Content): Markup | null {
  return content === null
    ? null
    : html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${content}
</section>
`;
}

/** Of a list of terms; null where there is no description. */
export function entry(term: string, description: Content): Markup | null {
  return description === null
    ? null
    : html`<div><dt>${term}</dt><dd>${description}</dd></div>
`;
}

/** What is opened by those who ask for it. */
export function folded(summary: string, content: Content): Markup {
  return html`<details>
<summary>${summary}</summary>
${content}</details>
`;
}

/** A tensor's or node's name, broken between its parts where it has to be broken. */
export function nameOf(name: string): Markup {
  const parts = name.split(/(?<=[./])/);
  return html`<bdi>${parts.map((part, i) => [i > 0 ? html`<wbr>` : null, part])}</bdi>`;
}

/** Of a table with more the first stays in sight while it is scrolled. */
export const MAX_COLUMNS = 6;

interface Table {
  /** What it is called. */
  readonly label: string;
  readonly caption: Content;
  readonly columns: readonly string[];
  /** The first cell of a row heads it; what is null there is none of is a dash. */
  readonly rows: readonly (readonly Content[])[];
}

/** Scrolls within itself where it is wider than the window, by keyboard too. The first column is text, the others are numbers. */
export function table({ label, caption, columns, rows }: Table, className: string | null = null): Markup {
  const body = rows.map(
    ([head, ...cells]) =>
      html`<tr><th scope="row">${head}</th>${cells.map((cell) => html`<td>${cell ?? '–'}</td>`)}</tr>\n`,
  );
  const classes = [className, columns.length > MAX_COLUMNS ? 'pinned' : null].filter((name) => name !== null);
  return html`<div class="scroll" role="region" tabindex="0" aria-label="Table: ${label}">
<table${classes.length > 0 ? html` class="${classes.join(' ')}"` : null}>
<caption><span>${caption}</span></caption>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>
${body}</tbody>
</table>
</div>
`;
}
