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
