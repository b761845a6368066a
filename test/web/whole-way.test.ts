import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Download, Page } from 'playwright-core';
import { readJson } from '../http/test-app.ts';
import { isFocusVisible, openPage, PHONE, tabTo, violationsOf } from './open-page.ts';
import { openSite } from './open-site.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const MODEL = `${EXAMPLES}fc2-mnist.onnx`;
const TEST_DATA = [`${EXAMPLES}mnist/evaluation_inputs.npy`, `${EXAMPLES}mnist/evaluation_labels.npy`];
const CALIBRATION = `${EXAMPLES}mnist/calibration_inputs.npy`;
/** Enough for one recipe, and the best of it. */
const TRIES = '6';

describe('the page, from files to the pruned model', () => {
  const site = openSite({ worker: true });

  /** That what came is the file that the service has, of the search that the address names. */
  async function checkDownload(page: Page, download: Download): Promise<void> {
    const id = /searches\/(sea_\w+)/.exec(page.url())?.[1];
    const search = await readJson(await site.service.fetch(`/v1/searches/${id}`));
    assert.equal(search.status, 'succeeded');
    const { artifacts } = search.best.job as { artifacts: { name: string; sha256: string }[] };
    const file = artifacts.find(({ name }) => name === 'fc2-mnist.onnx');
    assert.equal(download.suggestedFilename(), 'fc2-mnist.onnx');
    const bytes = await readFile(await download.path());
    assert.equal(createHash('sha256').update(bytes).digest('hex'), file?.sha256);
  }

  /** Drops files on a place as an operating system would. */
  async function drop(page: Page, zone: string, paths: readonly string[]): Promise<void> {
    const files = await Promise.all(
      paths.map(async (path) => ({ name: basename(path), base64: await readFile(path, 'base64') })),
    );
    const transfer = await page.evaluateHandle(`(() => {
      const transfer = new DataTransfer();
      for (const { name, base64 } of ${JSON.stringify(files)})
        transfer.items.add(new File([Uint8Array.fromBase64(base64)], name));
      return transfer;
    })()`);
    const target = page.getByRole('region', { name: zone, exact: zone === 'Model' });
    await target.dispatchEvent('dragover', { dataTransfer: transfer });
    await target.dispatchEvent('drop', { dataTransfer: transfer });
  }

  test('by mouse at 1280 pixels: files are dropped, the front grows, the model is saved', async () => {
    await using opened = await openPage(site.browser, site.service.url);
    const { page } = opened;
    assert.deepEqual(await violationsOf(page), []);
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
    await drop(page, 'Model', [MODEL]);
    await page.getByText('fc2-mnist.onnx: 79,510 parameters').waitFor();
    await drop(page, 'Test data', TEST_DATA);
    await page.getByText('500 samples, labelled').waitFor();
    await drop(page, 'Calibration data', [CALIBRATION]);
    await page.getByText('128 samples, without labels').waitFor();
    // The inventory is there before any job.
    await page.getByText('Tensor by tensor').click();
    await page.getByRole('rowheader', { name: '1.weight' }).waitFor();
    const { data } = await readJson(await site.service.fetch('/v1/models'));
    const { total } = await readJson(await site.service.fetch(`/v1/models/${data[0].id}/n-eff`));
    await page
      .getByText(`${total.n_keep.toLocaleString('en')} of ${total.n.toLocaleString('en')} weights`)
      .waitFor();
    await page.getByLabel('by at most').fill('3');
    await page.getByText('How much may be tried').click();
    await page.getByLabel('Models at most').fill(TRIES);
    await page.getByRole('button', { name: 'Find the best' }).click();

    await page.getByRole('img', { name: /accuracy lost/ }).waitFor();
    const card = page.getByRole('region', { name: /^Ship this/ });
    await card.getByText('Within the promise: accuracy falls by at most 3 points').waitFor();
    await card.getByText('Layer by layer').waitFor();
    const rows = page.getByRole('region', { name: 'Models that were tried' }).getByRole('row');
    const drawn = page.locator('.plot .within circle, .plot .over path');
    // Beside the candidates there are a head and the dense model.
    assert.equal(await drawn.count(), (await rows.count()) - 2);
    await card.getByText('The same by curl, Python or the command line').click();
    await card.getByText(/curl -sS/).waitFor();
    await card.getByRole('button', { name: 'Python', exact: true }).click();
    await card.getByText(/import requests/).waitFor();
    await card.getByRole('button', { name: 'CLI', exact: true }).click();
    await card.getByText(/emp prune fc2-mnist\.onnx --recipe recipe\.json/).waitFor();

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      card.getByRole('link', { name: 'Download the model' }).click(),
    ]);
    await checkDownload(page, download);
    assert.deepEqual(await violationsOf(page), []);
    assert.deepEqual(opened.complaints, []);
    assert.deepEqual(opened.foreign, []);
  });

  test('by keyboard alone at 390 pixels', async () => {
    await using opened = await openPage(site.browser, site.service.url, {
      viewport: PHONE,
      reducedMotion: 'reduce',
    });
    const { page } = opened;
    const { keyboard } = page;
    // The browser is told at once to hand its dialogs over: a key is faster than that.
    page.on('filechooser', () => {});
    await page.getByRole('heading', { level: 1 }).waitFor();
    const choose = async (name: string, files: string | string[]) => {
      await tabTo(page, name);
      assert.ok(await isFocusVisible(page), name);
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), keyboard.press('Space')]);
      await chooser.setFiles(files);
    };
    await choose('Model: choose files', MODEL);
    await page.getByText('fc2-mnist.onnx: 79,510 parameters').waitFor();
    await choose('Test data: choose files', TEST_DATA);
    await page.getByText('500 samples, labelled').waitFor();
    await choose('Calibration data: choose files', CALIBRATION);
    await page.getByText('128 samples, without labels').waitFor();
    await tabTo(page, /^by at most/);
    await keyboard.press('ControlOrMeta+A');
    await keyboard.type('3');
    await tabTo(page, /^Smaller download/);
    await keyboard.press('ArrowDown');
    await keyboard.press('ArrowDown');
    assert.ok(await page.getByRole('radio', { name: /^Fewer parameters/ }).isChecked());
    await tabTo(page, 'How much may be tried');
    await keyboard.press('Enter');
    await tabTo(page, /^Models at most/);
    await keyboard.press('ControlOrMeta+A');
    await keyboard.type(TRIES);
    await tabTo(page, 'Find the best');
    assert.ok(await isFocusVisible(page));
    await keyboard.press('Enter');

    const link = page.getByRole('link', { name: 'Download the model' });
    await link.waitFor();
    // Focus is at what the button led to, not lost.
    await tabTo(page, 'Download the model');
    assert.ok(await isFocusVisible(page));
    const [download] = await Promise.all([page.waitForEvent('download'), keyboard.press('Enter')]);
    await checkDownload(page, download);
    // From there on to the table: a candidate is chosen, as one is by a click in the chart.
    await tabTo(page, /^Zero single weights/);
    await keyboard.press('Enter');
    await page.getByRole('button', { name: 'Make this model' }).waitFor();
    assert.ok(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= PHONE.width);
    assert.deepEqual(await violationsOf(page), []);
    assert.deepEqual(opened.complaints, []);
    assert.deepEqual(opened.foreign, []);
  });
});
