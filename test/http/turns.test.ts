import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Turns } from '../../src/http/turns.ts';

test('a crowd passes in its order, a few in each turn of the loop, and who comes later waits behind it', async () => {
  const turns = new Turns(8);
  const passed: number[] = [];
  const enter = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) void turns.next().then(() => passed.push(i));
  };
  enter(0, 100);
  await turn();
  enter(100, 10);
  const inEachTurn: number[] = [];
  while (passed.length < 110) {
    const before = passed.length;
    await turn();
    inEachTurn.push(passed.length - before);
  }
  assert.ok(Math.max(...inEachTurn) <= 8 && inEachTurn.every((count) => count > 0), String(inEachTurn));
  assert.deepEqual(
    passed,
    Array.from({ length: 110 }, (_, i) => i),
  );
});

test('one alone passes at the next turn, also after a crowd', async () => {
  const turns = new Turns(8);
  await Promise.all(Array.from({ length: 9 }, () => turns.next()));
  await turns.next();
  await turns.next();
});
