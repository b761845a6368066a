import assert from 'node:assert/strict';
import { Arena, BOUNDS, type Observation } from '../../scripts/fuzz/arena.ts';

/** 200 ms on a machine of one's own; one that does other work meanwhile says by this variable what it can promise. */
export const HEALTH_MS = Number(process.env.HOSTILE_HEALTH_MS ?? BOUNDS.healthMs);

export function openArena(): Promise<Arena> {
  return Arena.open({ ...BOUNDS, healthMs: HEALTH_MS });
}

export function assertHarmless({ attack, findings }: Observation): void {
  assert.deepEqual(findings, [], attack.name);
}
