import { PAGE_POLICY } from '../page-policy.ts';
import { type Content, html, type Markup } from './markup.ts';
import { STYLE } from './style.ts';

/** What differs between the pages of reports. */
interface PageParts {
  readonly title: string;
  /** Above the heading: what it is a report of. */
  readonly kind: string;
  readonly heading: Content;
  /** What decides. */
  readonly first: Content;
  /** In the head, as whole lines. */
  readonly meta: Markup | null;
  readonly main: Content;
  /** As whole lines. */
  readonly footer: Markup | null;
}

/** One HTML page that needs nothing else and runs nothing. */
export function renderPage({ title, kind, heading, first, meta, main, footer }: PageParts): string {
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}">
${meta}<link rel="icon" href="data:,">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="kind">${kind}</p>
<h1>${heading}</h1>
</header>
<main>
${first}
${main}
</main>
${footer}</body>
</html>
`.source;
}
