import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { createZip } from '../formats/archive-bytes.ts';
import { fileOf, readJson } from '../http/test-app.ts';
import { openTestService, type TestService } from '../http/test-service.ts';
import { launchChromium } from '../services/chromium.ts';
import { openPage, violationsOf } from './open-page.ts';
import { type ReverseProxy, startReverseProxy } from './reverse-proxy.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const MODEL = `${EXAMPLES}fc2-mnist.onnx`;
const TEST_DATA = [`${EXAMPLES}mnist/evaluation_inputs.npy`, `${EXAMPLES}mnist/evaluation_labels.npy`];
const MODEL_SUMMARY = 'fc2-mnist.onnx: 79,510 parameters';

describe('the page, where something goes wrong', () => {
  let service: TestService;
  let browser: Browser;
  let proxy: ReverseProxy;
  before(async () => {
    [service, browser] = await Promise.all([openTestService({ worker: true }), launchChromium()]);
    proxy = await startReverseProxy(service.url);
  });
  after(async () => {
    await browser.close();
    await proxy.goAway();
    await service.close();
  });

  const post = async (path: string, body: FormData | object): Promise<{ id: string }> => {
    const json = body instanceof FormData ? {} : { headers: { 'content-type': 'application/json' } };
    const answer = await service.fetch(path, {
      method: 'POST',
      body: body instanceof FormData ? body : JSON.stringify(body),
      ...json,
    });
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return await readJson(answer);
  };

  /** Stored as by another client. */
  async function uploadAll() {
    const form = async (files: Record<string, string>) => {
      const data = new FormData();
      for (const [part, path] of Object.entries(files))
        data.append(part, fileOf(await readFile(path)), path.split('/').at(-1));
      return data;
    };
    const [model, dataset] = await Promise.all([
      post('/v1/models', await form({ file: MODEL })),
      post('/v1/datasets', await form({ inputs: TEST_DATA[0], labels: TEST_DATA[1] })),
    ]);
    return { model_id: model.id, evaluation_dataset_id: dataset.id };
  }

  const startSearch = async (candidates: number) =>
    await post('/v1/searches', {
      ...(await uploadAll()),
      promise: { max_accuracy_drop: 0.03 },
      limits: { max_candidates: candidates },
    });
  const shipped = (page: Page) => page.getByRole('link', { name: 'Download the model' });

  test('an upload that fails says why, and leaves what was there', async () => {
    await using opened = await openPage(browser, service.url);
    const { page } = opened;
    const model = page.getByLabel('Model: choose');
    await model.setInputFiles({
      name: 'broken.onnx',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from('no model at all'),
    });
    const alert = page.getByRole('region', { name: 'Model', exact: true }).getByRole('alert');
    await alert.getByText('broken.onnx is not a valid ONNX model').waitFor();
    assert.deepEqual(await violationsOf(page), []);
    await model.setInputFiles(MODEL);
    await page.getByText(MODEL_SUMMARY).waitFor();
    assert.equal(await alert.textContent(), '');
    // Labels alone are no data.
    await page.getByLabel('Test data: choose').setInputFiles(TEST_DATA[1]);
    await page.getByText('There are labels and no inputs').waitFor();
    await page.getByText(MODEL_SUMMARY).waitFor();
    assert.equal(
      await page.getByRole('button', { name: 'Find the best' }).getAttribute('aria-disabled'),
      'true',
    );
    assert.deepEqual(opened.complaints, []);
  });

  test('an .npz is taken apart in the browser, packed or not', async () => {
    const [inputs, labels] = await Promise.all(TEST_DATA.map((path) => readFile(path)));
    for (const deflate of [false, true]) {
      const npz = createZip([
        { name: 'input.npy', content: inputs, deflate },
        { name: 'labels.npy', content: labels, deflate },
      ]);
      await using opened = await openPage(browser, service.url);
      const { page } = opened;
      await page
        .getByLabel('Test data: choose')
        .setInputFiles({ name: 'data.npz', mimeType: '', buffer: npz });
      await page.getByText('500 samples, labelled').waitFor();
      const id = new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('test');
      const dataset = await readJson(await service.fetch(`/v1/datasets/${id}`));
      assert.deepEqual(
        dataset.inputs.map(({ name, shape }: { name: string; shape: number[] }) => [name, shape[0]]),
        [['input', 500]],
      );
      await page.getByLabel('Calibration data: choose').setInputFiles({
        name: 'cut.npz',
        mimeType: '',
        buffer: npz.subarray(0, npz.byteLength - 40),
      });
      await page.getByText('cut.npz is no .npz file.').waitFor();
      assert.deepEqual(opened.complaints, []);
    }
  });

  test('a reload, a second tab and the back button keep their place', async () => {
    await using opened = await openPage(browser, service.url);
    const { page } = opened;
    await page.getByLabel('Model: choose').setInputFiles(MODEL);
    await page.getByText(MODEL_SUMMARY).waitFor();
    await page.getByLabel('Test data: choose').setInputFiles(TEST_DATA);
    await page.getByText('500 samples, labelled').waitFor();
    await page.getByLabel('by at most').fill('4');
    await page.reload();
    await page.getByText(MODEL_SUMMARY).waitFor();
    assert.equal(await page.getByLabel('by at most').inputValue(), '4');
    await page.getByText('How much may be tried').click();
    await page.getByLabel('Models at most').fill('12');
    await page.getByRole('button', { name: 'Find the best' }).click();
    await page.getByRole('progressbar').waitFor();
    const { href: address } = new URL(page.url());
    assert.match(address, /#\/searches\/sea_/);
    // In the middle of it.
    await page.reload();
    const other = await page.context().newPage();
    await other.goto(address);
    await Promise.all([shipped(page).waitFor(), shipped(other).waitFor()]);
    for (const one of [page, other]) assert.equal(one.url(), address);

    const rows = page.getByRole('region', { name: 'Models that were tried' }).getByRole('rowheader');
    await rows.nth(1).getByRole('button').click();
    const chosen = page.url();
    await page.getByRole('button', { name: 'Make this model' }).waitFor();
    await page.getByRole('link', { name: 'Jobs and searches' }).click();
    await page.getByRole('heading', { name: 'Jobs and searches' }).waitFor();
    await page.goBack();
    await page.getByRole('button', { name: 'Make this model' }).waitFor();
    assert.equal(page.url(), chosen);
    await page.goBack();
    await page.getByText(MODEL_SUMMARY).waitFor();
    assert.equal(await page.getByLabel('by at most').inputValue(), '4');
    assert.deepEqual(opened.complaints, []);
  });

  test('a server that goes away is waited for, and its events are taken up where they were', async () => {
    const { id } = await startSearch(40);
    await using opened = await openPage(browser, `${proxy.url}/#/searches/${id}`);
    const { page } = opened;
    // It has heard of the first recipe's end.
    await page.getByRole('img', { name: /accuracy lost/ }).waitFor();
    await proxy.goAway();
    const banner = page.getByText('The server does not answer.');
    await banner.waitFor();
    assert.deepEqual(await violationsOf(page), []);
    const resumed = page.waitForRequest((request) => request.url().endsWith('/events'));
    await proxy.comeBack();
    // It is tried again by itself too, and then the button goes.
    const tryNow = page.getByRole('button', { name: 'Try now' });
    await Promise.race([tryNow.click().catch(() => {}), resumed]);
    assert.match((await resumed).headers()['last-event-id'] ?? '', /^\d+$/);
    await shipped(page).waitFor();
    assert.equal(await banner.count(), 0);
    assert.deepEqual(opened.complaints, []);
  });

  test('what is sent to a server that is away can be sent again', async () => {
    await using opened = await openPage(browser, proxy.url);
    const { page } = opened;
    await page.getByRole('heading', { level: 1 }).waitFor();
    await proxy.goAway();
    const model = page.getByLabel('Model: choose');
    await model.setInputFiles(MODEL);
    await page.getByText('Nothing was lost: try again').waitFor();
    await proxy.comeBack();
    await model.setInputFiles(MODEL);
    await page.getByText(MODEL_SUMMARY).waitFor();
    assert.deepEqual(opened.complaints, []);
  });

  test('a key is asked for where the service wants one, and again when it has expired', async () => {
    const { id } = await startSearch(6);
    proxy.key = 'first';
    try {
      await using opened = await openPage(browser, `${proxy.url}/#/searches/${id}`);
      const { page } = opened;
      const field = page.getByLabel('API key');
      await field.waitFor();
      assert.deepEqual(await violationsOf(page), []);
      await field.fill('wrong');
      await page.keyboard.press('Enter');
      await page.getByText('The key was refused').waitFor();
      await field.fill('first');
      await page.getByRole('button', { name: 'Use this key' }).click();
      await shipped(page).waitFor();
      // No link can send a key: the file comes all the same.
      const [download] = await Promise.all([page.waitForEvent('download'), shipped(page).click()]);
      const search = await readJson(await service.fetch(`/v1/searches/${id}`));
      const [{ size_bytes }] = search.best.job.artifacts.filter(
        ({ name }: { name: string }) => name === 'fc2-mnist.onnx',
      );
      assert.equal((await readFile(await download.path())).byteLength, size_bytes);
      await page.reload();
      await shipped(page).waitFor();

      proxy.key = 'second';
      await page.getByRole('link', { name: 'Jobs and searches' }).click();
      await page.getByText('The key was refused').waitFor();
      await field.fill('second');
      await page.keyboard.press('Enter');
      await page.getByRole('region', { name: 'Jobs and searches' }).waitFor();
      // Another tab has a key of its own.
      const kept = String(await page.evaluate('JSON.stringify([localStorage.length, document.cookie])'));
      assert.equal(kept, '[0,""]');
      assert.deepEqual(opened.complaints, []);
    } finally {
      proxy.key = null;
    }
  });
});
