import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readJson } from '../http/test-app.ts';
import { holdBack, openPage } from './open-page.ts';
import { openSite } from './open-site.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const MODEL = `${EXAMPLES}fc2-mnist.onnx`;
const TEST_DATA = [`${EXAMPLES}mnist/evaluation_inputs.npy`, `${EXAMPLES}mnist/evaluation_labels.npy`];
const MODEL_SUMMARY = 'fc2-mnist.onnx: 79,510 parameters';

describe('what goes on while one looks elsewhere', () => {
  const site = openSite();

  test('an upload is there for who comes back, and leaves the address of another screen alone', async () => {
    await using opened = await openPage(site.browser, site.service.url);
    const { page } = opened;
    await page.getByLabel('Test data: choose').setInputFiles(TEST_DATA);
    await page.getByText('500 samples, labelled').waitFor();
    const { held, letGo } = await holdBack(page, '/v1/models');
    await page.getByLabel('Model: choose').setInputFiles(MODEL);
    await held;
    await page.getByRole('link', { name: 'Jobs and searches' }).click();
    await page.getByText('There is nothing of this kind yet').waitFor();
    // What is under way is seen again.
    await page.getByRole('link', { name: 'New' }).click();
    await page.getByRole('progressbar', { name: 'Model: uploading' }).waitFor();
    await page.getByRole('link', { name: 'Jobs and searches' }).click();
    const answer = page.waitForResponse((response) => response.request().method() === 'POST');
    letGo();
    await (await answer).finished();
    await page.getByText('Model: uploaded').waitFor({ state: 'attached' });
    assert.equal(new URL(page.url()).hash, '#/list');
    await page.getByRole('link', { name: 'New' }).click();
    await page.getByText(MODEL_SUMMARY).waitFor();
    await page.getByText('500 samples, labelled').waitFor();
    await page.reload();
    await page.getByText(MODEL_SUMMARY).waitFor();
    assert.deepEqual(opened.complaints, []);
  });

  test('an example is filled in, and nothing begun with it', async () => {
    await using opened = await openPage(site.browser, site.service.url);
    const { page } = opened;
    await page.getByRole('button', { name: /^Fill in an example/ }).click();
    await page.getByText(MODEL_SUMMARY).waitFor();
    await page.getByText('500 samples, labelled').waitFor();
    await page.getByText('128 samples, without labels').waitFor();
    const { data } = await readJson(await site.service.fetch('/v1/searches'));
    assert.deepEqual(data, []);
    assert.deepEqual(opened.complaints, []);
  });
});
