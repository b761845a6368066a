import { type Content, html, type Markup } from './markup.ts';

interface Table {
  /** What it is called. */
  readonly label: string;
  readonly caption: Content;
  readonly columns: readonly string[];
  /** The first cell of a row heads it. */
  readonly rows: readonly (readonly Content[])[];
}

/** A tensor's or node's name, broken between its parts where it has to be broken. */
export function nameOf(name: string): Markup {
  const parts = name.split(/(?<=[./])/);
  return html`<bdi>${parts.map((part, i) => [i > 0 ? html`<wbr>` : null, part])}</bdi>`;
}

/** Scrolls within itself where it is wider than the window, by keyboard too. The first column is text, the others are numbers. */
export function table({ label, caption, columns, rows }: Table, className = ''): Markup {
  const body = rows.map(
    ([head, ...cells]) =>
      html`<tr><th scope="row">${head}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`,
  );
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">
<table${className === '' ? null : html` class="${className}"`}>
<caption><span>${caption}</span></caption>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>
${body}</tbody>
</table>
</div>
`;
}
