import { signal } from '@preact/signals';

export type Screen = 'new' | 'search' | 'job' | 'list' | 'compare' | 'nowhere';

/** Where the page is, as its address says it after `#`. */
export interface Route {
  readonly screen: Screen;
  /** Of a search or a job. */
  readonly id: string;
  readonly query: URLSearchParams;
}

const SCREENS: readonly (readonly [pattern: RegExp, screen: Screen])[] = [
  [/^\/?$/, 'new'],
  [/^\/searches\/([\w-]+)$/, 'search'],
  [/^\/jobs\/([\w-]+)$/, 'job'],
  [/^\/list$/, 'list'],
  [/^\/compare$/, 'compare'],
];

/** The route of an address's part after `#`. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?');
  for (const [pattern, screen] of SCREENS) {
    const match = pattern.exec(path);
    if (match) return { screen, id: match[1] ?? '', query: new URLSearchParams(query) };
  }
  return { screen: 'nowhere', id: '', query: new URLSearchParams() };
}

export const route = signal(parseRoute(location.hash));

/** A link to a screen: `/list` with what it is asked for. */
export function hrefOf(path: string, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#${path}${text === '' ? '' : `?${text}`}`;
}

export function navigate(href: string): void {
  location.hash = href;
}

/** Writes what a screen is asked for into its address, without a step for the back button. Null is left out. */
export function setQuery(changes: Readonly<Record<string, string | null>>): void {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes))
    if (value === null) query.delete(name);
    else query.set(name, value);
  const [path = ''] = location.hash.replace(/^#/, '').split('?');
  const href = hrefOf(path || '/', Object.fromEntries(query));
  history.replaceState(history.state, '', href);
  route.value = parseRoute(href);
}

/** Follows the address, and scrolls back to where a step of the history was left. */
export function followAddress(): void {
  history.scrollRestoration = 'manual';
  let [at, wanted] = [location.href, placeOf(location.href)];
  const keep = () => sessionStorage.setItem(`place:${at}`, String(scrollY));
  const seek = () => {
    if (wanted === null || document.documentElement.scrollHeight < wanted + innerHeight) return;
    scrollTo(0, wanted);
    wanted = null;
  };
  // What a screen shows comes piece by piece; whoever scrolls meanwhile is where they want to be.
  new ResizeObserver(seek).observe(document.body);
  for (const type of ['wheel', 'touchstart', 'keydown', 'pointerdown'])
    addEventListener(type, () => (wanted = null), { passive: true });
  addEventListener('pagehide', keep);
  let isTraversal = false;
  addEventListener('click', () => (isTraversal = false), { capture: true });
  addEventListener('popstate', () => (isTraversal = true));
  addEventListener('scrollend', () => {
    if (wanted === null && at === location.href) keep();
  });
  addEventListener('hashchange', () => {
    at = location.href;
    wanted = isTraversal ? placeOf(at) : null;
    isTraversal = false;
    route.value = parseRoute(location.hash);
    if (wanted === null) scrollTo(0, 0);
    requestAnimationFrame(seek);
  });
}

function placeOf(href: string): number | null {
  const kept = Number(sessionStorage.getItem(`place:${href}`) ?? 0);
  return kept > 0 ? kept : null;
}
