import { after, before } from 'node:test';
import type { Browser } from 'playwright-core';
import { openTestService, type TestService } from '../http/test-service.ts';
import { launchChromium } from '../services/chromium.ts';

/** What the tests of a `describe` share: opened before them, closed after. */
export interface Site {
  readonly service: TestService;
  readonly browser: Browser;
}

export function openSite(options?: Parameters<typeof openTestService>[0]): Site {
  const site = {} as { -readonly [name in keyof Site]: Site[name] };
  before(async () => {
    [site.service, site.browser] = await Promise.all([openTestService(options), launchChromium()]);
  });
  after(async () => {
    await site.browser.close();
    await site.service.close();
  });
  return site;
}
