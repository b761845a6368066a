import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fileOf, readJson } from '../http/test-app.ts';
import { postFiles } from '../http/test-service.ts';
import { holdBack, openPage, PHONE, violationsOf } from './open-page.ts';
import { openSite } from './open-site.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const [MODEL, INPUTS, LABELS] = await Promise.all(
  ['fc2-mnist.onnx', 'mnist/evaluation_inputs.npy', 'mnist/evaluation_labels.npy'].map((name) =>
    readFile(EXAMPLES + name),
  ),
);

describe('what came of it', () => {
  const site = openSite({ worker: true });

  /** By a metric that the client measures. */
  async function beginSearch(): Promise<string> {
    const form = new FormData();
    form.append('file', fileOf(MODEL), 'fc2-mnist.onnx');
    const model = await readJson(await site.service.fetch('/v1/models', { method: 'POST', body: form }));
    const promise = { external: { direction: 'higher', max_drop: 0.3 } };
    const allow = { criteria: ['magnitude'], granularities: ['weight'] };
    const begun = await site.service.fetch('/v1/searches', {
      method: 'POST',
      body: JSON.stringify({ model_id: model.id, promise, aim: 'size', allow }),
      headers: { 'content-type': 'application/json' },
    });
    return (await readJson(begun)).id;
  }

  test('is what the report decides: a dead model is not one to ship', async () => {
    const parts: Parameters<typeof postFiles>[1] = [
      ['model', 'fc2-mnist.onnx', MODEL],
      ['evaluation', 'inputs.npy', INPUTS],
      ['evaluation_labels', 'labels.npy', LABELS],
    ];
    const { id } = await readJson(await postFiles(site.service.url, parts, { beta: 0.001 }));
    const { decision } = await readJson(await site.service.fetch(`/v1/jobs/${id}/report`));
    assert.equal(decision.status, 'unsafe');
    await using opened = await openPage(site.browser, `${site.service.url}/#/jobs/${id}`);
    const { page } = opened;
    const card = page.getByRole('region', { name: /^Do not ship this/ });
    await card.getByText('Unsafe', { exact: true }).waitFor();
    await card.getByText(decision.sentence).waitFor();
    for (const { title, text } of decision.figures)
      await card.locator('div').filter({ hasText: title }).getByText(text).first().waitFor();
    assert.deepEqual(await violationsOf(page), []);
    assert.deepEqual(opened.complaints, []);
  });

  test('of a metric of one’s own is told by the page, model by model', async () => {
    const id = await beginSearch();
    await using opened = await openPage(site.browser, `${site.service.url}/#/searches/${id}`, {
      viewport: PHONE,
    });
    const { page } = opened;
    for (let asked = 0; ; asked++) {
      const field = page.getByRole('spinbutton', { name: /^Metric of model/ });
      const end = page.getByRole('region', { name: /^Ship this/ });
      await field.or(end).waitFor();
      if (await end.isVisible()) break;
      assert.ok(asked < 14);
      if (asked === 0) assert.deepEqual(await violationsOf(page), []);
      const name = (await field.getAttribute('aria-label')) ?? assert.fail();
      // The sparser the worse; of the dense model nothing is gone.
      const gone = await page.getByRole('row').filter({ has: field }).getByRole('cell').nth(2).textContent();
      await field.fill(String(0.9 - (Number.parseFloat(gone ?? '') || 0) / 100));
      await field.press('Enter');
      await page.getByRole('spinbutton', { name, exact: true }).waitFor({ state: 'detached' });
    }
    const search = await readJson(await site.service.fetch(`/v1/searches/${id}`));
    assert.deepEqual([search.status, search.best.met], ['succeeded', true]);
    await page
      .getByText('Within the promise: your own metric keeps its limit (higher is better, at most 0.3 worse')
      .waitFor();
    assert.ok(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= PHONE.width);
    assert.deepEqual(opened.complaints, []);
  });

  test('of two who tell a metric, the later is told which one stands', async () => {
    const id = await beginSearch();
    await using opened = await openPage(site.browser, `${site.service.url}/#/searches/${id}`, {
      viewport: PHONE,
    });
    const { page } = opened;
    const { held, letGo } = await holdBack(page, '/metric');
    const field = page.getByRole('spinbutton', { name: 'Metric of model 0' });
    await field.fill('0.8');
    await field.press('Enter');
    await held;
    const told = await site.service.fetch(`/v1/searches/${id}/candidates/0/metric`, {
      method: 'POST',
      body: JSON.stringify({ value: 0.9 }),
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(told.status, 200);
    const original = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'The original' }) });
    await original.getByText('0.9', { exact: true }).waitFor();
    letGo();
    await original.getByText('candidate 0 was told to be worth 0.9, which stands').waitFor();
    assert.deepEqual(await violationsOf(page), []);
    assert.ok(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= PHONE.width);
    assert.deepEqual(opened.complaints, []);
  });
});
