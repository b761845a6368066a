import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Slots } from '../../src/jobs/slots.ts';

const NEVER = new AbortController().signal;

test('slots go to those who wait, in order, but for those who have left', async () => {
  const slots = new Slots(1);
  const first = await slots.take(NEVER);
  const got: string[] = [];
  const impatient = new AbortController();
  const leaving = slots.take(impatient.signal);
  const waiting = ['second', 'third'].map(async (name) => {
    const slot = await slots.take(NEVER);
    got.push(name);
    return slot;
  });
  impatient.abort(new Error('gone'));
  await assert.rejects(leaving, /gone/);
  assert.deepEqual(got, []);
  first[Symbol.dispose]();
  const second = await waiting[0];
  await turn();
  assert.deepEqual(got, ['second']);
  second?.[Symbol.dispose]();
  (await waiting[1])?.[Symbol.dispose]();
  // Whoever leaves a slot that it has not got takes none with it.
  (await slots.take(NEVER))[Symbol.dispose]();
  await assert.rejects(slots.take(impatient.signal), /gone/);
});

test('a slot is not given away while the one who has it is being ended', async () => {
  const slots = new Slots(1);
  const ended = new AbortController();
  const first = await slots.take(ended.signal);
  const second = slots.take(NEVER);
  const before = Promise.race([second.then(() => 'taken'), turn('waiting')]);
  ended.abort();
  assert.equal(await before, 'waiting');
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
});
