import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Arena } from '../../scripts/fuzz/arena.ts';
import { attack } from '../../scripts/fuzz/attack.ts';
import { fuzz } from '../../scripts/fuzz/rounds.ts';
import { BODIES } from './bodies.ts';
import { MODELS } from './models.ts';
import { assertHarmless, openArena } from './open-arena.ts';

/** `npm run fuzz` goes on for as long as asked, from any seed. */
const ROUND_MS = 4_000;
const SEED = 1;

describe('a hostile input harms only itself', () => {
  let arena: Arena;
  before(async () => {
    arena = await openArena();
  });
  after(() => arena[Symbol.asyncDispose]());

  for (const [name, { request, times = 1 }] of Object.entries({ ...BODIES, ...MODELS }))
    test(name, async (t) => {
      const seen = await arena.strike(attack(name, request(), times));
      t.diagnostic(
        `${seen.statuses}: health ${seen.healthMs.toFixed()} ms, ${seen.cpuSeconds.toFixed(1)} CPU s, ${seen.peakMebibytes.toFixed()} MiB`,
      );
      assertHarmless(seen);
    });

  test('nor do those of a short round of npm run fuzz', async (t) => {
    let nRounds = 0;
    for await (const [, seen] of fuzz(arena, SEED, ROUND_MS)) {
      assertHarmless(seen);
      nRounds++;
    }
    t.diagnostic(`${nRounds} inputs`);
    assert.ok(nRounds > 0);
  });
});
