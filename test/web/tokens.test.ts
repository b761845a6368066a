import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openTestIssuer, tokensOf } from '../access/test-issuer.ts';
import { fileOf, readJson } from '../http/test-app.ts';
import { openTestService } from '../http/test-service.ts';
import { launchChromium } from '../services/chromium.ts';
import { openPage, violationsOf } from './open-page.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

test('the page takes a token: it follows a search by it, and fetches its model', async (t) => {
  const issuer = await openTestIssuer(t);
  const service = await openTestService({ worker: true, keys: tokensOf(issuer) });
  t.after(() => service.close());
  const browser = await launchChromium();
  t.after(() => browser.close());
  const token = await issuer.sign({ tenant: 'acme', scope: 'read write' });

  const send = async (path: string, body: FormData | string, type?: string) => {
    const headers = { authorization: `Bearer ${token}`, ...(type && { 'content-type': type }) };
    return await readJson(await service.fetch(path, { method: 'POST', body, headers }));
  };
  const form = async (files: Record<string, string>) => {
    const data = new FormData();
    for (const [part, path] of Object.entries(files))
      data.append(part, fileOf(await readFile(EXAMPLES + path)), path.split('/').at(-1));
    return data;
  };
  const model = await send('/v1/models', await form({ file: 'fc2-mnist.onnx' }));
  const data = { inputs: 'mnist/evaluation_inputs.npy', labels: 'mnist/evaluation_labels.npy' };
  const dataset = await send('/v1/datasets', await form(data));
  const asked = {
    model_id: model.id,
    evaluation_dataset_id: dataset.id,
    promise: { max_accuracy_drop: 0.03 },
    limits: { max_candidates: 6 },
  };
  const { id } = await send('/v1/searches', JSON.stringify(asked), 'application/json');

  await using opened = await openPage(browser, `${service.url}/#/searches/${id}`);
  const { page } = opened;
  const field = page.getByLabel('API key or token');
  await field.fill(await issuer.sign({ tenant: 'acme', scope: 'read', exp: 1 }));
  await page.keyboard.press('Enter');
  await page.getByText('The key was refused: this token has expired: get a new one').waitFor();
  assert.deepEqual(await violationsOf(page), []);
  await field.fill(`${token}\n`);
  await page.keyboard.press('Enter');
  const link = page.getByRole('link', { name: 'Download the model' });
  await link.waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  const headers = { authorization: `Bearer ${token}` };
  const search = await readJson(await service.fetch(`/v1/searches/${id}`, { headers }));
  const artifacts: { name: string; size_bytes: number }[] = search.best.job.artifacts;
  const sizes = artifacts.filter(({ name }) => name === 'fc2-mnist.onnx').map((one) => one.size_bytes);
  assert.deepEqual([(await readFile(await download.path())).byteLength], sizes);
  assert.deepEqual(opened.complaints, []);
});
