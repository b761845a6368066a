import { type Browser, chromium } from 'playwright-core';

/** Starts Debian's Chromium. Close it in `after`. */
export function launchChromium(...args: string[]): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', ...args] });
}
