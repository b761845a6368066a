import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { renderReport } from '../../src/report/html/page.ts';
import { renderSearchPage } from '../../src/report/html/search-page.ts';
import { launchChromium } from '../services/chromium.ts';
import { DECIDED } from './decided-reports.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';
import { SEARCHES } from './search-facts.ts';

const PAGES: readonly (readonly [name: string, page: string])[] = [
  ...Object.entries({ ...SAMPLE_REPORTS, ...DECIDED }).map(
    ([name, report]) => [name, renderReport(report)] as const,
  ),
  ...Object.entries(SEARCHES).map(([name, facts]) => [`search ${name}`, renderSearchPage(facts)] as const),
];

describe('the pages of reports', () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  async function show(page: Page, source: string): Promise<void> {
    await page.setContent(source);
    await page.evaluate(axe.source);
  }

  /** Rules that are broken, and where; colours alone where the rest has been looked at. */
  async function violations(page: Page, isOfColours = false): Promise<string[]> {
    const options = JSON.stringify(isOfColours ? { runOnly: ['color-contrast'] } : {});
    return (await page.evaluate(
      `axe.run(${options}).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ": " + html)))`,
    )) as string[];
  }

  test('break no rule of axe, in light and in dark', async () => {
    await using context = await browser.newContext();
    const page = await context.newPage();
    for (const [name, source] of PAGES) {
      await page.emulateMedia({ colorScheme: 'light' });
      await show(page, source);
      assert.deepEqual(await violations(page), [], name);
      await page.emulateMedia({ colorScheme: 'dark' });
      assert.deepEqual(await violations(page, true), [], `${name}, dark`);
    }
  });

  test('axe finds what is planted', async () => {
    await using context = await browser.newContext();
    const page = await context.newPage();
    const [[, source]] = PAGES;
    await show(page, source.replace('<h1>', '<p style="color:#ccc">faint</p><h1>'));
    assert.deepEqual((await violations(page)).length, 1);
  });

  test('tables of more than six columns keep the first in sight at 390 pixels', async () => {
    await using context = await browser.newContext({ viewport: { width: 390, height: 844 } });
    const page = await context.newPage();
    let scrolled = 0;
    const wide = PAGES.filter(([name]) => ['searched', 'broken', 'channels', 'search found'].includes(name));
    assert.equal(wide.length, 4);
    for (const [name, source] of wide) {
      await page.setContent(source);
      for (const region of await page.locator('.scroll:has(thead th:nth-child(7))').all()) {
        if (!(await region.isVisible())) continue;
        const cell = region.locator('tbody th').first();
        const { x } = (await cell.boundingBox()) ?? assert.fail();
        const moved = await region.evaluate('(element) => (element.scrollLeft = 150, element.scrollLeft)');
        if (moved === 0) continue;
        scrolled++;
        const after = (await cell.boundingBox()) ?? assert.fail();
        assert.ok(Math.abs(after.x - x) <= 1, `${name}: ${after.x} for ${x}`);
        assert.ok(after.width <= 390 / 2, `${name}: it leaves room for the others`);
      }
    }
    assert.ok(scrolled > 3, `${scrolled} tables are wider than the window`);
  });
});
