import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

const AXE = await readFile(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
/** What a browser says by itself of an answer that the page knows how to take. */
const OF_AN_ANSWER = /^Failed to load resource/;

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** What the console says, a breach of the page's policy among it, and uncaught errors. */
  readonly complaints: string[];
  /** Requests to another host than that of the service. */
  readonly foreign: string[];
}

/** A page of the service in a browser of its own, without anything kept. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: 'light', ...options });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const [complaints, foreign]: [string[], string[]] = [[], []];
  page.on('console', (message) => {
    if (!OF_AN_ANSWER.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (!/^(blob|data):/.test(protocol) && origin !== new URL(url).origin) foreign.push(request.url());
  });
  await page.goto(url);
  return { page, complaints, foreign, [Symbol.asyncDispose]: () => context.close() };
}

/** Holds requests on their way to the service until it is called; tells when one is held. */
export async function holdBack(
  page: Page,
  path: string,
): Promise<{ held: Promise<void>; letGo: () => void }> {
  const [held, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await page.route(`**${path}`, async (route) => {
    if (route.request().method() === 'POST') {
      held.resolve();
      await gate.promise;
    }
    await route.continue();
  });
  return { held: held.promise, letGo: gate.resolve };
}

/** What axe has against what is shown, in light and in dark; of a second scheme colours alone, as nothing else differs. */
export async function violationsOf(
  page: Page,
  schemes: readonly ('light' | 'dark')[] = ['light', 'dark'],
): Promise<string[]> {
  const found: string[] = [];
  for (const [place, colorScheme] of schemes.entries()) {
    // Without motion colours change at once.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    if (place === 0) await page.evaluate(AXE);
    const options = JSON.stringify(place === 0 ? {} : { runOnly: ['color-contrast'] });
    const { violations } = (await page.evaluate(`axe.run(document, ${options})`)) as {
      violations: { id: string; nodes: { html: string }[] }[];
    };
    for (const { id, nodes } of violations)
      found.push(`${colorScheme}: ${id} of ${nodes.length}, ${nodes[0]?.html.slice(0, 200)}`);
  }
  return found;
}

/** Presses Tab until what has the focus is named so, as a user without a mouse would. */
export async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const names: string[] = [];
  for (let presses = 0; presses < 80; presses++) {
    await page.keyboard.press('Tab');
    const focused = String(await page.evaluate(NAME_OF_FOCUSED));
    if (typeof name === 'string' ? focused === name : name.test(focused)) return;
    names.push(focused);
  }
  throw new Error(`no Tab leads to ${name}: ${names.join(' | ')}`);
}

const NAME_OF_FOCUSED = `(() => {
  const { activeElement: element } = document;
  const text = element.getAttribute('aria-label') ?? (element.labels?.[0] ?? element).textContent;
  return text.trim().replace(/\\s+/g, ' ');
})()`;

/** Whether what has the focus is seen to have it. */
export async function isFocusVisible(page: Page): Promise<boolean> {
  return (await page.evaluate(`(() => {
    const { activeElement: element } = document;
    const shown = [element, element.nextElementSibling, element.closest('label')].filter((one) => one !== null);
    return shown.some((one) => getComputedStyle(one).outlineStyle !== 'none');
  })()`)) as boolean;
}
