import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Locator, Page } from 'playwright-core';
import { fileOf, readJson } from '../http/test-app.ts';
import { openTestService, type TestService } from '../http/test-service.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { launchChromium } from '../services/chromium.ts';
import { openPage, PHONE, violationsOf } from './open-page.ts';
import { openSite } from './open-site.ts';

const MODEL = fileURLToPath(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const MNIST = fileURLToPath(new URL('../../examples/mnist/', import.meta.url));
/** As many as the issue asks a page to be quick with. */
const MANY = 10_000;

async function uploadModel(service: TestService, bytes: Uint8Array, name: string): Promise<string> {
  const form = new FormData();
  form.append('file', fileOf(bytes), name);
  return (await readJson(await service.fetch('/v1/models', { method: 'POST', body: form }))).id;
}

async function postJob(service: TestService, body: object): Promise<{ id: string; status: string }> {
  const answer = await service.fetch('/v1/jobs', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
  });
  assert.ok(answer.ok, `${answer.status}`);
  return await readJson(answer);
}

const rowOf = (page: Page, id: string) =>
  page.getByRole('row').filter({ has: page.getByRole('checkbox', { name: `Compare ${id}` }) });

/** How many lines the text of an element takes. */
async function linesOf(element: Locator): Promise<number> {
  return await element.evaluate((one) => {
    const range = one.ownerDocument.createRange();
    range.selectNodeContents(one);
    return new Set([...range.getClientRects()].map(({ top }) => top)).size;
  });
}

/** How far the edges of what scrolls are from the page's ground, of 255: in the median of their pixels, between all text. */
async function edgesOf(region: Locator): Promise<{ left: number; right: number }> {
  const png = (await region.screenshot()).toString('base64');
  return (await region.page().evaluate(`(async () => {
    const bytes = Uint8Array.fromBase64('${png}');
    const picture = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const { width, height } = picture;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context.drawImage(picture, 0, 0);
    const ground = Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]);
    const shadeAt = (x) => {
      const { data } = context.getImageData(x, 0, 1, height);
      const shades = Array.from({ length: height }, (_, y) => Math.abs(data[4 * y] - ground));
      return shades.sort((a, b) => a - b)[height >> 1];
    };
    return { left: shadeAt(1), right: shadeAt(width - 2) };
  })()`)) as { left: number; right: number };
}

describe('jobs that wait', () => {
  let service: TestService;
  let browser: Browser;
  const jobs: string[] = [];
  before(async () => {
    [service, browser] = await Promise.all([openTestService(), launchChromium()]);
    const model_id = await uploadModel(service, await readFile(MODEL), 'fc2-mnist.onnx');
    for (const beta of [1, 0.9, 0.8]) {
      const answer = await service.fetch('/v1/jobs', {
        method: 'POST',
        body: JSON.stringify({ model_id, recipe: { beta } }),
        headers: { 'content-type': 'application/json' },
      });
      jobs.push((await readJson(answer)).id);
    }
  });
  after(async () => {
    await browser.close();
    await service.close();
  });

  test('are listed with what is before them, canceled and filtered; a reload keeps the filter', async () => {
    const [first, second, third] = jobs;
    await using opened = await openPage(browser, `${service.url}/#/list`);
    const { page } = opened;
    await rowOf(page, first).getByText('next in line').waitFor();
    await rowOf(page, third).getByText('2 jobs before it').waitFor();
    assert.deepEqual(await violationsOf(page), []);
    await page.getByRole('button', { name: `Cancel ${second}` }).click();
    await rowOf(page, second).getByText('canceled', { exact: true }).waitFor();
    await rowOf(page, third).getByText('1 job before it').waitFor();
    await page.getByLabel('Status').selectOption('canceled');
    await rowOf(page, third).waitFor({ state: 'detached' });
    await page.reload();
    await rowOf(page, second).waitFor();
    assert.equal(await page.getByLabel('Status').inputValue(), 'canceled');
    assert.equal(await page.getByRole('checkbox', { name: /^Compare/ }).count(), 1);
    await page.getByLabel('Show').selectOption('searches');
    await page.getByText('There is nothing of this kind yet').waitFor();
    assert.deepEqual(opened.complaints, []);
  });

  test('say on their own screen what is before them, and are canceled there', async () => {
    await using opened = await openPage(browser, `${service.url}/#/jobs/${jobs[2]}`);
    const { page } = opened;
    await page.getByText('1 job before it').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Job canceled').waitFor();
    assert.equal((await readJson(await service.fetch(`/v1/jobs/${jobs[2]}`))).status, 'canceled');
    assert.deepEqual(opened.complaints, []);
  });

  test('that are not there are told so', async () => {
    await using opened = await openPage(browser, `${service.url}/#/jobs/job_nothing`);
    await opened.page.getByText('there is no job job_nothing').waitFor();
    await opened.page.goto(`${service.url}/#/elsewhere`);
    await opened.page.getByText('There is nothing here').waitFor();
  });
});

describe('jobs that are done', () => {
  const site = openSite({ worker: true });

  test('are compared side by side: figures, recipes, layers', async () => {
    const model_id = await uploadModel(site.service, await readFile(MODEL), 'fc2-mnist.onnx');
    const one = await postJob(site.service, { model_id, recipe: { beta: 1 } });
    const other = await postJob(site.service, { model_id, recipe: { beta: 0.5, scope: 'layer' } });
    await using opened = await openPage(site.browser, `${site.service.url}/#/list`);
    const { page } = opened;
    for (const { id } of [one, other]) await page.getByRole('checkbox', { name: `Compare ${id}` }).click();
    await page.getByRole('link', { name: 'Compare 2 side by side' }).click();
    const recipes = page.getByRole('region', { name: 'Recipes side by side' });
    await recipes.getByRole('row', { name: /^beta 1 0\.5$/ }).waitFor();
    // Only what differs: scope does, criterion does not.
    assert.equal(await recipes.getByRole('row', { name: /^scope global layer$/ }).count(), 1);
    assert.equal(await recipes.getByRole('row', { name: /^criterion/ }).count(), 0);
    await page.getByRole('button', { name: 'Show all fields' }).click();
    assert.equal(await recipes.getByRole('row', { name: /^criterion magnitude magnitude$/ }).count(), 1);

    const shown = await page
      .getByRole('row', { name: /^1\.weight/ })
      .getByRole('cell')
      .allTextContents();
    const reports = await Promise.all(
      [one, other].map(async ({ id }) => readJson(await site.service.fetch(`/v1/jobs/${id}/report`))),
    );
    const [first, second] = reports.map(({ tensors: [{ n, n_keep }] }) => n_keep / n);
    assert.ok(first > second);
    assert.deepEqual(
      shown.map((text) => text.trim()),
      [first, second].map((share) => `${(100 * share).toFixed(1)} %`),
    );
    assert.deepEqual(await violationsOf(page), []);
    assert.deepEqual(opened.complaints, []);
  });

  test('are compared whole at 1280 pixels, each under a head of its own', async () => {
    const model_id = await uploadModel(site.service, await readFile(MODEL), 'fc2-mnist.onnx');
    const data = new FormData();
    for (const part of ['inputs', 'labels'])
      data.append(part, fileOf(await readFile(`${MNIST}evaluation_${part}.npy`)), `${part}.npy`);
    const dataset = await readJson(await site.service.fetch('/v1/datasets', { method: 'POST', body: data }));
    const ids: string[] = [];
    for (const recipe of [{ beta: 1 }, { beta: 0.5 }, { beta: 0.5, scope: 'layer' }, { beta: 0.7 }])
      ids.push((await postJob(site.service, { model_id, evaluation_dataset_id: dataset.id, recipe })).id);
    await using opened = await openPage(site.browser, `${site.service.url}/#/compare?ids=${ids}`);
    const { page } = opened;
    await page.getByRole('button', { name: 'Show all fields' }).click();
    const tables = page.getByRole('region', { name: /side by side$/ });
    assert.equal(await tables.count(), 3);
    for (const table of await tables.all()) {
      const [whole, shown] = (await table.evaluate((one) => [one.scrollWidth, one.clientWidth])) as number[];
      assert.ok(whole <= shown, `${whole} of ${shown}`);
      for (const head of await table.getByRole('rowheader').all())
        assert.equal(await linesOf(head), 1, (await head.textContent()) ?? '');
      const heads = await table.getByRole('columnheader').allTextContents();
      // But for their numbers.
      const told = heads.slice(1).map((head) => head.replace(/^\d/, ''));
      assert.equal(new Set(told).size, ids.length, told.join());
    }
    assert.deepEqual(opened.complaints, []);
  });

  test('are in tables whose edge is shaded while there is more behind it', async () => {
    const model_id = await uploadModel(site.service, await readFile(MODEL), 'fc2-mnist.onnx');
    await postJob(site.service, { model_id, recipe: {} });
    for (const colorScheme of ['light', 'dark'] as const) {
      await using opened = await openPage(site.browser, `${site.service.url}/#/list`, {
        viewport: PHONE,
        colorScheme,
      });
      const { page } = opened;
      const table = page.getByRole('region', { name: 'Jobs and searches' });
      await table.getByRole('row').nth(1).waitFor();
      const atStart = await edgesOf(table);
      assert.ok(atStart.left < 8 && atStart.right > 50, `${colorScheme}: ${JSON.stringify(atStart)}`);
      await table.evaluate((region) => region.scrollTo(region.scrollWidth, 0));
      const atEnd = await edgesOf(table);
      assert.ok(atEnd.right < 8 && atEnd.left > 50, `${colorScheme}: ${JSON.stringify(atEnd)}`);
    }
  });

  test(`of ${MANY} tensors are shown a page at a time, and found by name`, async () => {
    const shapes = Object.fromEntries(
      Array.from({ length: MANY }, (_, i): [string, number[]] => [`layer${i}.weight`, [2, 2]]),
    );
    const model_id = await uploadModel(site.service, createSafetensors(shapes), 'many.safetensors');
    const { id, status } = await postJob(site.service, { model_id, recipe: { include: ['*'] } });
    assert.equal(status, 'succeeded');
    await using opened = await openPage(site.browser, `${site.service.url}/#/jobs/${id}`);
    const { page } = opened;
    await page.getByText('10,000 layers', { exact: true }).click();
    const heads = page.getByRole('region', { name: 'What stays of layers' }).getByRole('rowheader');
    const total = page.getByText(/^\d+–\d+ of 10,000 layers$/);
    await total.waitFor();
    const onFirst = await heads.allTextContents();
    assert.ok(onFirst.length < 100);
    await page.getByRole('button', { name: 'Next' }).click();
    await heads.getByText(onFirst[0], { exact: true }).waitFor({ state: 'detached' });
    await page.getByLabel('Name contains').fill('layer9876.');
    await page.getByText('1–1 of 1 layers').waitFor();
    assert.deepEqual(await heads.allTextContents(), ['layer9876.weight']);
    assert.deepEqual(opened.complaints, []);
  });
});
