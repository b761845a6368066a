import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Slots } from '../../src/intake/slots.ts';

let clients = 0;
/** Someone who has asked for nothing yet. */
const someone = (signal = new AbortController().signal) => ({ client: `client ${clients++}`, signal });

test('slots go to those who wait, in order, but for those who have left', async () => {
  const slots = new Slots(1);
  const first = await slots.take(someone());
  const got: string[] = [];
  const impatient = new AbortController();
  const leaving = slots.take(someone(impatient.signal));
  const waiting = ['second', 'third'].map(async (name) => {
    const slot = await slots.take(someone());
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
  (await slots.take(someone()))[Symbol.dispose]();
  await assert.rejects(slots.take(someone(impatient.signal)), /gone/);
});

test('a slot is not given away while the one who has it is being ended', async () => {
  const slots = new Slots(1);
  const ended = new AbortController();
  const first = await slots.take(someone(ended.signal));
  const second = slots.take(someone());
  const before = Promise.race([second.then(() => 'taken'), turn('waiting')]);
  ended.abort();
  assert.equal(await before, 'waiting');
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
});

test('a client has one slot, and leaves the others to others', async () => {
  const slots = new Slots(3);
  const greedy = someone();
  const first = await slots.take(greedy);
  const more = [slots.take(greedy), slots.take(greedy)];
  const others = [await slots.take(someone()), await slots.take(someone())];
  assert.equal(await Promise.race([...more, turn('waiting')]), 'waiting');
  first[Symbol.dispose]();
  const second = await more[0];
  assert.equal(await Promise.race([more[1], turn('waiting')]), 'waiting');
  for (const slot of [second, ...others]) slot?.[Symbol.dispose]();
  (await more[1])?.[Symbol.dispose]();
  (await slots.take(greedy))[Symbol.dispose]();
});
