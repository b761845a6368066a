import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { fileOf, readJson } from '../http/test-app.ts';
import { openTestService, type TestService } from '../http/test-service.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { HOSTILE_NAMES } from '../report/hostile-names.ts';
import { launchChromium } from '../services/chromium.ts';
import { openPage } from './open-page.ts';

const FILE = '<img src=x onerror=document.title=1>.safetensors';
/** An object of the test's own cannot have it. */
const NAMES = HOSTILE_NAMES.filter((name) => name !== '__proto__');
const TITLE = /^([\w ]+ · )?Effective Model Pruning$/;

describe('names that hold markup', () => {
  let service: TestService;
  let browser: Browser;
  let model: { id: string };
  let job: { id: string; status: string };
  before(async () => {
    [service, browser] = await Promise.all([openTestService({ worker: true }), launchChromium()]);
    const form = new FormData();
    const shapes = Object.fromEntries(NAMES.map((name) => [name, [4, 4]]));
    form.append('file', fileOf(createSafetensors(shapes)), FILE);
    model = await readJson(await service.fetch('/v1/models', { method: 'POST', body: form }));
    assert.ok(model.id, JSON.stringify(model));
    job = await readJson(
      await service.fetch('/v1/jobs', {
        method: 'POST',
        body: JSON.stringify({ model_id: model.id, recipe: { include: ['*'] } }),
        headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      }),
    );
    assert.equal(job.status, 'succeeded', JSON.stringify(job));
  });
  after(async () => {
    await browser.close();
    await service.close();
  });

  const screens: Record<string, () => { address: string; table: string | null }> = {
    'before any job': () => ({ address: `#/?model=${model.id}`, table: 'Tensors of' }),
    'of a job': () => ({ address: `#/jobs/${job.id}`, table: 'What stays of layers' }),
    'in the list': () => ({ address: '#/list', table: null }),
    'side by side': () => ({
      address: `#/compare?ids=${job.id},${job.id}`,
      table: 'What stays of each layer',
    }),
  };
  for (const [what, screen] of Object.entries(screens)) {
    test(`are text ${what}`, async () => {
      const { address, table } = screen();
      await using opened = await openPage(browser, `${service.url}/${address}`);
      const { page } = opened;
      await page.getByText(FILE).filter({ visible: true }).first().waitFor();
      if (table !== null) {
        if (address.startsWith('#/?')) await page.getByText('Tensor by tensor').click();
        const heads = page.getByRole('region', { name: table }).getByRole('rowheader');
        await heads.first().waitFor();
        assert.deepEqual((await heads.allTextContents()).sort(), [...NAMES].sort());
      }
      assert.match(await page.title(), TITLE);
      assert.equal(await page.locator('img, b, iframe, :not(head) > script').count(), 0);
      assert.deepEqual(opened.complaints, []);
    });
  }
});
