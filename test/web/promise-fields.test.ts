import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { MAX_CANDIDATES } from '../../src/recipe/lines.ts';
import { TARGETS } from '../../src/recipe/terms.ts';
import { fileOf, readJson } from '../http/test-app.ts';
import { openTestService, type TestService } from '../http/test-service.ts';
import { launchChromium } from '../services/chromium.ts';
import { openPage, violationsOf } from './open-page.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

describe('the fields of a promise', () => {
  let service: TestService;
  let browser: Browser;
  let given: string;
  before(async () => {
    [service, browser] = await Promise.all([openTestService(), launchChromium()]);
    const post = async (path: string, files: Record<string, string>): Promise<string> => {
      const form = new FormData();
      for (const [part, name] of Object.entries(files))
        form.append(part, fileOf(await readFile(EXAMPLES + name)), name.split('/').at(-1));
      return (await readJson(await service.fetch(path, { method: 'POST', body: form }))).id;
    };
    const model = await post('/v1/models', { file: 'fc2-mnist.onnx' });
    const data = { inputs: 'mnist/evaluation_inputs.npy', labels: 'mnist/evaluation_labels.npy' };
    given = `${service.url}/#/?model=${model}&test=${await post('/v1/datasets', data)}`;
  });
  after(async () => {
    await browser.close();
    await service.close();
  });

  /** Labels decide what is promised unless something else is chosen: once they are known. */
  const openGiven = async () => {
    const opened = await openPage(browser, given);
    await opened.page.getByText(/accuracy falls by at most [\d.]+ point/).waitFor();
    return opened;
  };
  const amount = (page: Page) => page.getByRole('spinbutton', { name: /^by at most/ });
  const models = (page: Page) => page.getByRole('spinbutton', { name: 'Models at most' });
  const find = (page: Page) => page.getByRole('button', { name: 'Find the best' });

  test('keep what is typed, also nothing, and say what would be right', async () => {
    await using opened = await openGiven();
    const { page } = opened;
    await page.getByText('How much may be tried').click();
    for (const field of [amount(page), models(page)]) {
      await field.press('ControlOrMeta+A');
      await field.press('Backspace');
      assert.equal(await field.inputValue(), '');
      assert.equal(await field.getAttribute('aria-invalid'), 'true');
      await field.pressSequentially('5');
      assert.equal(await field.inputValue(), '5');
      assert.equal(await field.getAttribute('aria-invalid'), 'false');
      // No number yet: what is typed stays, and becomes one.
      await field.press('ControlOrMeta+A');
      await field.pressSequentially('1e');
      assert.equal(await field.getAttribute('aria-invalid'), 'true');
      await field.pressSequentially('1');
      assert.equal(await field.inputValue(), '1e1');
    }
    await page.getByText('accuracy falls by at most 10 points').waitFor();
    await models(page).fill('2.5');
    assert.equal(await models(page).getAttribute('aria-invalid'), 'true');
    await page.getByText(`Type a whole number from 1 to ${MAX_CANDIDATES.toLocaleString('en')}`).waitFor();
    assert.deepEqual(await violationsOf(page), []);
    assert.deepEqual(opened.complaints, []);
  });

  test('are shown where one of them holds the search up, also out of folded details', async () => {
    await using opened = await openGiven();
    const { page } = opened;
    const fold = page.getByText('How much may be tried');
    await fold.click();
    await models(page).fill('5000');
    await fold.click();
    await models(page).waitFor({ state: 'hidden' });
    await find(page).click();
    await models(page).waitFor();
    assert.ok(await models(page).evaluate((field) => field.matches(':focus')));
    await page.getByText('Say how many models.').waitFor();
    assert.deepEqual(opened.complaints, []);
  });

  test('bound what may be promised in the unit that is typed', async () => {
    await using opened = await openGiven();
    const { page } = opened;
    await amount(page).fill('1e9');
    // 0.01 of the API is a point.
    const { max } = TARGETS.max_accuracy_drop;
    await page.getByText(`number from 0 to less than ${100 * max} points`).waitFor();
    await find(page).click();
    assert.ok(await amount(page).evaluate((field) => field.matches(':focus')));
    await amount(page).fill(String(100 * max));
    assert.equal(await amount(page).getAttribute('aria-invalid'), 'true');
    await amount(page).fill(String(100 * max - 1));
    await find(page).click();
    await page.getByText('Search under way').waitFor();
    assert.deepEqual(opened.complaints, []);
  });
});
