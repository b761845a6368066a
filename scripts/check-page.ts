/** `npm run check:page`: how large the page at `/` is, how soon it can be used, and how long its answers to clicks and keys take with much to show. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { createSafetensors } from '../test/models/safetensors-bytes.ts';
import { launchChromium } from '../test/services/chromium.ts';
import { SERVICE, startServer } from './start-server.ts';

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url));
const TENSORS = 10_000;
const CANDIDATES = 60;
const LOADS = 5;
/** What is allowed. */
const LIMITS = { bytes: 150_000, usableMs: 1000, interactionMs: 200 };

const directory = await mkdtemp(join(tmpdir(), 'emp-page-'));
const server = await startServer(SERVICE, { DATA_DIR: directory });
const browser = await launchChromium();
const results: { what: string; measured: number; unit: string; limit: number }[] = [];
const note = (what: string, measured: number, unit: string, limit: number) => {
  results.push({ what, measured, unit, limit });
  console.log(`${what}: ${Math.round(measured)} ${unit}${measured > limit ? ` (more than ${limit})` : ''}`);
};
try {
  await measureLoads();
  await measureTensors();
  await measureCandidates();
} finally {
  await browser.close();
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}
if (results.some(({ measured, limit }) => measured > limit)) process.exitCode = 1;

/** From the click on a link to a button that can be pressed, with nothing kept; and what that loads. */
async function measureLoads(): Promise<void> {
  // The page is bundled while a service starts, which is not what is measured.
  await fetch(server.baseUrl);
  const times: number[] = [];
  for (let load = 0; load < LOADS; load++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    let bytes = 0;
    const client = await context.newCDPSession(page);
    await client.send('Network.enable');
    client.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    const begun = performance.now();
    await page.goto(server.baseUrl, { waitUntil: 'commit' });
    await page.getByRole('button', { name: 'Find the best' }).waitFor();
    times.push(performance.now() - begun);
    if (load === 0) note('first load, compressed, with headers', bytes, 'bytes', LIMITS.bytes);
    await context.close();
  }
  times.sort((a, b) => a - b);
  note(`usable, median of ${LOADS} loads`, times[LOADS >> 1], 'ms', LIMITS.usableMs);
}

/** The longest of the interactions that the browser has seen, as it counts them: to the next frame that is shown. */
async function watchInteractions(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(`window.longest = 0; new PerformanceObserver((list) => {
    for (const { duration, interactionId } of list.getEntries())
      if (interactionId > 0) window.longest = Math.max(window.longest, duration);
  }).observe({ type: 'event', durationThreshold: 16, buffered: false })`);
  return async () => {
    await page.waitForTimeout(300);
    return (await page.evaluate('window.longest')) as number;
  };
}

async function measureTensors(): Promise<void> {
  const shapes = Object.fromEntries(
    Array.from({ length: TENSORS }, (_, i): [string, number[]] => [`block${i}.weight`, [2, 3]]),
  );
  const page = await browser.newPage();
  await page.goto(server.baseUrl);
  const longest = await watchInteractions(page);
  const file = { name: 'many.safetensors', mimeType: '', buffer: createSafetensors(shapes) };
  await page.getByLabel('Model: choose').setInputFiles(file);
  await page.getByText('Tensor by tensor').click();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Name contains').pressSequentially('99');
  await page.getByLabel('by at most').pressSequentially('5');
  note(`inventory of ${TENSORS} tensors, longest interaction`, await longest(), 'ms', LIMITS.interactionMs);

  const model = new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('model');
  const answer = await fetch(`${server.baseUrl}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ model_id: model, recipe: { include: ['*'] } }),
  });
  const { id } = (await answer.json()) as { id: string };
  await page.goto(`${server.baseUrl}/#/jobs/${id}`);
  const ofJob = await watchInteractions(page);
  await page.getByText('10,000 layers', { exact: true }).click();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Name contains').pressSequentially('12');
  await page.getByRole('img').hover();
  await page.getByText('The recipe').click();
  note(`job of ${TENSORS} tensors, longest interaction`, await ofJob(), 'ms', LIMITS.interactionMs);
  await page.close();
}

async function measureCandidates(): Promise<void> {
  const post = async (path: string, body: FormData | string): Promise<string> => {
    const headers = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    const answer = await fetch(server.baseUrl + path, { method: 'POST', body, headers });
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
    return ((await answer.json()) as { id: string }).id;
  };
  const form = async (files: Readonly<Record<string, string>>) => {
    const data = new FormData();
    for (const [part, name] of Object.entries(files))
      data.append(part, new Blob([await readFile(EXAMPLES + name)]), name.split('/').at(-1));
    return data;
  };
  const inputs = 'mnist/evaluation_inputs.npy';
  const [model_id, evaluation_dataset_id, calibration_dataset_id] = await Promise.all([
    post('/v1/models', await form({ file: 'fc2-mnist.onnx' })),
    post('/v1/datasets', await form({ inputs, labels: 'mnist/evaluation_labels.npy' })),
    post('/v1/datasets', await form({ inputs: 'mnist/calibration_inputs.npy' })),
  ]);
  const search = {
    ...{ model_id, evaluation_dataset_id, calibration_dataset_id },
    promise: { max_accuracy_drop: 0.02 },
    limits: { max_candidates: CANDIDATES },
  };
  const id = await post('/v1/searches', JSON.stringify(search));
  const page = await browser.newPage();
  // A search of this network ends before it has tried so many: the rest are those that it tried, a little smaller each time.
  await page.route(`**/v1/searches/${id}`, async (route) => {
    const answer = await route.fetch();
    const told = await answer.json();
    const { candidates } = told;
    const tried = candidates.length;
    for (let i = tried; tried > 0 && i < CANDIDATES; i++) {
      const like = candidates[i % tried];
      candidates.push({ ...like, compressed_bytes: Math.round(like.compressed_bytes * (1 - i / 1000)) });
    }
    await route.fulfill({ response: answer, json: told });
  });
  await page.goto(`${server.baseUrl}/#/searches/${id}`);
  await page.getByRole('link', { name: 'Download the model' }).waitFor({ timeout: 300_000 });
  await page.reload();
  await page.getByRole('link', { name: 'Download the model' }).waitFor();
  const longest = await watchInteractions(page);
  const showAll = page.getByRole('button', { name: /^Show all/ });
  const told = await showAll.textContent();
  await showAll.click();
  const table = page.getByRole('region', { name: 'Models that were tried' });
  await table.getByRole('button').nth(2).click();
  await page.locator('.plot .within circle').first().click();
  await page.getByText(/recipes, \d+ left out/).click();
  await page.getByRole('button', { name: 'Show fewer' }).click();
  await page.getByRole('link', { name: 'Jobs and searches' }).click();
  await page.getByLabel('Jobs of searches too').click();
  note(
    `search of ${told?.replace(/\D/g, '')} candidates, and the list, longest interaction`,
    await longest(),
    'ms',
    LIMITS.interactionMs,
  );
}
