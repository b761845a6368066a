import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { launchChromium } from '../services/chromium.ts';
import { fileOf, openTestApp, readJson, type TestApp } from './test-app.ts';

/** A site whose page the operator has open, and a name that it has pointed at the operator's machine. */
const FOREIGN = 'evil.example';

let service: TestApp;
let site: Server;
let browser: Browser;
let [url, port, foreignUrl, path] = ['', '', '', ''];
before(async () => {
  service = await openTestApp();
  url = await service.listen();
  port = new URL(url).port;
  site = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<p>hello'),
  );
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  foreignUrl = `http://${FOREIGN}:${(site.address() as AddressInfo).port}/`;
  browser = await launchChromium(
    `--host-resolver-rules=MAP ${FOREIGN} 127.0.0.1`,
    '--disable-features=LocalNetworkAccessChecks',
  );
  const form = new FormData();
  form.append('file', fileOf(createSafetensors({ w: [2, 2] })), 'm.safetensors');
  path = `/v1/models/${(await readJson(await service.fetch('/v1/models', { method: 'POST', body: form }))).id}`;
});
after(async () => {
  await browser.close();
  site.close();
  await service.close();
});

/** The status that a page sees, or `refused`; what it may not read is `opaque`. */
function ask(page: Page, target: string, init: { method?: string }): Promise<number | string> {
  return page.evaluate(
    async ([to, options]) => {
      try {
        const response = await fetch(to, options);
        return response.type === 'opaque' ? 'opaque' : response.status;
      } catch {
        return 'refused';
      }
    },
    [target, init] as const,
  );
}

async function uploadsBy(page: Page, target: string): Promise<void> {
  const parts = '--x\r\nContent-Disposition: form-data; name="file"; filename="n.safetensors"\r\n\r\n';
  const body = `${parts}${createSafetensors({ v: [1, 1] }).toString('latin1')}\r\n--x--\r\n`;
  // A form's type needs no leave of the service; where the answer cannot be read, the request was sent all the same.
  await page.evaluate(
    ([to, content]) =>
      fetch(to, {
        method: 'POST',
        mode: 'no-cors',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
        body: Uint8Array.from(content, (letter) => letter.charCodeAt(0)),
      }).catch(() => {}),
    [target, body] as const,
  );
}

const modelCount = async () => (await readJson(await service.fetch('/v1/models'))).data.length;

describe('in a real browser', () => {
  test('a page of another site uploads nothing', async () => {
    const page = await browser.newPage();
    await page.goto(foreignUrl);
    for (const host of ['127.0.0.1', 'localhost']) await uploadsBy(page, `http://${host}:${port}/v1/models`);
    assert.equal(await modelCount(), 1);
  });

  test('nor reads or deletes anything by a name that it points here', async () => {
    const page = await browser.newPage();
    const answer = await page.goto(`http://${FOREIGN}:${port}/docs/`);
    assert.equal(answer?.status(), 421);
    assert.equal(await ask(page, path, {}), 421);
    assert.equal(await ask(page, path, { method: 'DELETE' }), 421);
    await uploadsBy(page, '/v1/models');
    assert.equal(await modelCount(), 1);
  });

  test('nor shows the service in a frame', async () => {
    const page = await browser.newPage();
    await page.goto(foreignUrl);
    const framed = page.waitForEvent('requestfailed', { timeout: 10_000 });
    await page.setContent(`<iframe src="${url}/v1/models">`);
    assert.match((await framed).failure()?.errorText ?? '', /BLOCKED_BY_RESPONSE/);
  });

  test('the page of the documentation can do all of it', async () => {
    const page = await browser.newPage();
    await page.goto(`${url}/docs/`);
    await page.waitForSelector('.opblock-tag');
    await uploadsBy(page, '/v1/models');
    assert.equal(await modelCount(), 2);
    assert.equal(await ask(page, path, { method: 'DELETE' }), 204);
  });
});
