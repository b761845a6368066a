import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { openTestApp, type TestApp } from '../http/test-app.ts';
import { launchChromium } from '../services/chromium.ts';
import { openPage, violationsOf } from './open-page.ts';

describe('the documentation at /docs', () => {
  let service: TestApp;
  let browser: Browser;
  before(async () => {
    [service, browser] = await Promise.all([openTestApp(), launchChromium()]);
  });
  after(async () => {
    await browser.close();
    await service.close();
  });

  // It takes its colours when it is loaded.
  for (const colorScheme of ['light', 'dark'] as const)
    test(`can be read by all in ${colorScheme}, and opened by keyboard`, async () => {
      await using opened = await openPage(browser, `${await service.listen()}/docs`, { colorScheme });
      const { page } = opened;
      const operation = page.getByRole('button', { name: 'POST /v1/jobs Prune a model' });
      await operation.waitFor();
      assert.deepEqual(await violationsOf(page, [colorScheme]), []);
      await operation.focus();
      await page.keyboard.press('Enter');
      await page.getByText('What could only fail is refused here').first().waitFor();
      assert.equal(await operation.getAttribute('aria-expanded'), 'true');
      assert.deepEqual(opened.foreign, []);
    });
});
