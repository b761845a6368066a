import { after, before, describe, test } from 'node:test';
import type { Arena } from '../../scripts/fuzz/arena.ts';
import { attack, type HostileRequest } from '../../scripts/fuzz/attack.ts';
import { assertHarmless, openArena } from './open-arena.ts';

/** Requests by what they are, each sent once or several times at the same time. */
export type Attacks = Readonly<Record<string, { request: () => HostileRequest; times?: number }>>;

/** A test for each: a service takes it, and everything else goes on. */
export function strikeAll(attacks: Attacks): void {
  describe('an input that once stopped the service harms only itself', () => {
    let arena: Arena;
    before(async () => {
      arena = await openArena();
    });
    after(() => arena[Symbol.asyncDispose]());

    for (const [name, { request, times = 1 }] of Object.entries(attacks))
      test(name, async (t) => {
        const seen = await arena.strike(attack(name, request(), times));
        t.diagnostic(
          `${seen.statuses}: health ${seen.healthMs.toFixed()} ms, ${seen.cpuSeconds.toFixed(1)} CPU s, ${seen.peakMebibytes.toFixed()} MiB`,
        );
        assertHarmless(seen);
      });
  });
}
