import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SharedRuns } from '../../src/intake/shared-runs.ts';

const NEVER = new AbortController().signal;

/** Counts how often it is started, and ends when it is told to or with its signal. */
function createWork() {
  const starts: { signal: AbortSignal; finish(value: string): void }[] = [];
  const start = (signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    signal.addEventListener('abort', () => reject(signal.reason));
    starts.push({ signal, finish: resolve });
    return promise;
  };
  return { starts, start };
}

describe('shared runs', () => {
  test('one for all of a key, and a new one after its end', async () => {
    const runs = new SharedRuns<string>();
    const { starts, start } = createWork();
    const both = [runs.join('a', NEVER, start), runs.join('a', NEVER, start)];
    const other = runs.join('b', NEVER, start);
    assert.equal(starts.length, 2);
    starts[0].finish('one');
    starts[1].finish('two');
    assert.deepEqual(await Promise.all([...both, other]), ['one', 'one', 'two']);
    const again = runs.join('a', NEVER, start);
    starts[2].finish('three');
    assert.equal(await again, 'three');
  });

  test('end when the last has left; whoever comes then gets a new one', async () => {
    const runs = new SharedRuns<string>();
    const { starts, start } = createWork();
    const clients = [new AbortController(), new AbortController()];
    const joined = clients.map(({ signal }) => runs.join('a', signal, start));
    clients[0].abort(new Error('first gone'));
    await assert.rejects(joined[0], /first gone/);
    assert.equal(starts[0].signal.aborted, false);
    clients[1].abort(new Error('second gone'));
    await assert.rejects(joined[1], /second gone/);
    assert.equal(starts[0].signal.aborted, true);
    const late = runs.join('a', NEVER, start);
    starts[1].finish('late');
    assert.equal(await late, 'late');
    await assert.rejects(runs.join('a', clients[0].signal, start), /first gone/);
    assert.equal(starts.length, 2);
  });

  test('a failure reaches all who wait', async () => {
    const runs = new SharedRuns<string>();
    const fail = async () => Promise.reject(new Error('broken'));
    for (const joined of [runs.join('a', NEVER, fail), runs.join('a', NEVER, fail)])
      await assert.rejects(joined, /broken/);
  });

  test('one that is ended ends for all who wait', async () => {
    const runs = new SharedRuns<string>();
    const { starts, start } = createWork();
    const joined = [runs.join('a', NEVER, start), runs.join('a', NEVER, start)];
    runs.end('b');
    assert.equal(starts[0].signal.aborted, false);
    runs.end('a');
    for (const one of joined) await assert.rejects(one, { name: 'AbortError' });
  });

  test('closing ends what goes on', async () => {
    const runs = new SharedRuns<string>();
    const { starts, start } = createWork();
    const joined = runs.join('a', NEVER, start);
    const rejected = assert.rejects(joined);
    await runs.close();
    await rejected;
    assert.equal(starts[0].signal.aborted, true);
  });
});
