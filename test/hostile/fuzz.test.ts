import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../../scripts/fuzz/rounds.ts';
import { assertHarmless, openArena } from './open-arena.ts';

/** `npm run fuzz` goes on for as long as asked, from any seed. */
const ROUND_MS = 8_000;
const SEED = 1;

test('a short round of hostile inputs harms nobody (npm run fuzz)', async (t) => {
  await using arena = await openArena();
  let nRounds = 0;
  for await (const [, seen] of fuzz(arena, SEED, ROUND_MS)) {
    assertHarmless(seen);
    nRounds++;
  }
  t.diagnostic(`${nRounds} inputs`);
  assert.ok(nRounds > 0);
});
