import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Arena, BOUNDS } from '../../scripts/fuzz/arena.ts';
import { attack, post } from '../../scripts/fuzz/attack.ts';
import { startServer } from '../../scripts/start-server.ts';

const CARELESS = new URL('careless-server.ts', import.meta.url);

describe('the arena sees a request that', () => {
  let arena: Arena;
  before(async () => {
    const bounds = { ...BOUNDS, healthMs: 500, cpuSeconds: 0.5, answerMs: 3000, settleMs: 2000 };
    arena = await Arena.open(bounds, () => startServer(CARELESS, {}));
  });
  after(() => arena[Symbol.asyncDispose]());

  const findings = async (path: string) =>
    (await arena.strike(attack(path, post(path, 'text/plain', 'x')))).findings.join('; ');

  const planted = {
    '/blocks': /^health answered after \d{4,} ms/,
    '/holds': /^2\d\d MiB more are held/,
    '/burns': /CPU seconds for 0\.00 MiB/,
    '/fails': /^answer 500: a stack$/,
    '/repeats': /an answer of 20 MiB/,
    '/ignores': /^no answer within 3 s$/,
  };
  for (const [path, expected] of Object.entries(planted))
    test(path.slice(1), async () => assert.match(await findings(path), expected));

  test('and none in one that does nothing', async () => {
    assert.equal(await findings('/healthz'), '');
  });
});
