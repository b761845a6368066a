import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { renderNotice } from '../../scripts/notice.ts';

describe('NOTICE', () => {
  test('is in step with the lock file (npm run notice)', async () => {
    const committed = await readFile(new URL('../../NOTICE', import.meta.url), 'utf8');
    assert.ok((await renderNotice()) === committed, 'NOTICE is stale: npm run notice');
  });

  test('has a licence for every package, and a text unless it is built for some machines alone', async () => {
    const notice = await renderNotice();
    const packages = [...notice.matchAll(/^(\S+) \S+: (.+?)( \(ships no text\))?$/gm)];
    assert.ok(packages.length > 150, `${packages.length} packages`);
    const odd = packages.filter(([, , licence, lacksText]) => lacksText || licence === 'no licence named');
    for (const [line, name] of odd)
      assert.match(name ?? '', /^@(esbuild\/|msgpackr-extract\/|napi-rs\/nice-)/, line);
  });
});
