import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EmpError } from '../../src/core/errors.ts';
import { ChildFailure, ChildPool, type ChildRun } from '../../src/jobs/child-pool.ts';
import { childEnvironment } from '../../src/jobs/child-settings.ts';
import type { Behaviour } from './pool-child.ts';
import { isAlive, untilGone } from './processes.ts';

const PROGRAM = new URL('./pool-child.ts', import.meta.url);
const NEVER = new AbortController().signal;
/** Of what it writes to, with what V8 reserves for two threads. */
const LIMIT = (1024 + 2 * 544) * 2 ** 20;
const LIMITS = { heapMebibytes: 64, memoryMebibytes: 1024, threads: 1 };

type Answer = { pid: number; what: unknown };
const openPool = (limits = LIMITS) =>
  new ChildPool<Behaviour, Answer, string>(PROGRAM, { GIVEN: 'given' }, limits);

test('one that cannot be started fails its request, and the next one is answered', async () => {
  const program = fileURLToPath(new URL('./starved-parent.ts', import.meta.url));
  const parent = spawn('/bin/sh', ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  parent.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
  const [code] = await once(parent, 'close');
  assert.deepEqual([code, said.join('').trim()], [0, 'crashed, answered']);
});

describe('children', () => {
  const pool = openPool();
  after(() => pool.close());
  const run = (behaviour: Behaviour, options: Partial<ChildRun<string>> = {}) =>
    pool.run(behaviour, { timeMs: 20_000, signal: NEVER, ...options });
  const failure = async (behaviour: Behaviour, options: Partial<ChildRun<string>> = {}) => {
    const error = await run(behaviour, options).then(
      () => assert.fail('it answered'),
      (thrown) => thrown,
    );
    assert.ok(error instanceof ChildFailure, String(error));
    return error;
  };

  test('have limits and an environment of their own, leave no core, and go first where memory is short', async () => {
    const { limits, badness, environment, command } = (await run('look')).what as Record<string, string>;
    const limit = (name: string) => new RegExp(`${name} +(\\d+) +(\\d+)`).exec(limits!)?.slice(1).map(Number);
    assert.deepEqual(limit('Max data size'), [LIMIT, LIMIT]);
    assert.deepEqual(limit('Max core file size'), [0, 0]);
    assert.equal(badness, 1000);
    assert.deepEqual(environment, { GIVEN: 'given', PATH: undefined });
    assert.match(command!, /^emp pool-child test look/);
  });

  test('are used again', async () => {
    const [first, second] = [await run('answer'), await run('answer')];
    assert.equal(first.pid, second.pid);
    const [one, other] = await Promise.all([run('answer'), run('answer')]);
    assert.notEqual(one.pid, other.pid);
  });

  test('tell news in their order, before they answer', async () => {
    const heard: string[] = [];
    await run('tell', { onNews: (word) => heard.push(word) });
    assert.deepEqual(heard, ['one', 'two', 'three']);
  });

  test('that refuse or fail say why, and go on', async () => {
    const both = (await Promise.all([run('answer'), run('answer')])).map(({ pid }) => pid);
    await assert.rejects(run('refuse'), (error) => {
      assert.ok(error instanceof EmpError);
      assert.deepEqual(
        [error.code, error.message, error.findings],
        ['malformed_onnx', 'node 3 is cut short', [{ path: 'node/3', message: 'cut' }]],
      );
      return true;
    });
    await assert.rejects(run('throw'), (error: Error) => {
      assert.equal(error.message, 'a fault of ours');
      assert.match(error.stack ?? '', /pool-child/);
      return true;
    });
    const again = await Promise.all([run('answer'), run('answer')]);
    assert.deepEqual(again.map(({ pid }) => pid).sort(), both.sort());
  });

  test('that end without an answer say how', async () => {
    const exit = await failure('exit');
    assert.deepEqual([exit.how, exit.end.code, exit.end.signal], ['crashed', 3, null]);
    const crash = await failure('crash');
    assert.deepEqual([crash.how, crash.end.code, crash.end.signal], ['crashed', null, 'SIGSEGV']);
    assert.equal(crash.isOutOfMemory, false);
    assert.ok((await run('answer')).pid);
  });

  test('that take too long are killed', async () => {
    assert.equal((await failure('block', { timeMs: 500 })).how, 'out_of_time');
  });

  test('that are no longer wanted are killed, at once or when they do not listen', async () => {
    for (const patienceMs of [0, 300]) {
      const signal = AbortSignal.timeout(300);
      assert.equal((await failure('block', { signal, patienceMs })).how, 'stopped');
    }
    await assert.rejects(run('answer', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });

  test('that listen may say a last word', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort('canceled'), 300);
    const answer = await run('wait', { signal: stop.signal, patienceMs: 10_000 });
    assert.equal(answer.what, 'canceled');
    assert.equal((await run('answer')).pid, answer.pid);
  });

  test('leave it to their parent what a signal to all of them means', async () => {
    const { pid } = await run('answer');
    for (const signal of ['SIGINT', 'SIGTERM']) process.kill(pid, signal);
    await sleep(200);
    const both = await Promise.all([run('answer'), run('answer')]);
    assert.ok(both.some((answer) => answer.pid === pid));
  });

  test('may not take more memory than they have, of whatever kind', async () => {
    assert.equal((await failure('objects')).isOutOfMemory, true);
    await assert.rejects(run('bytes'), /Array buffer allocation failed/);
  });
});

test('a child that keeps much of its memory is not used again', async () => {
  const pool = openPool();
  try {
    const hoarder = await pool.run('hoard', { timeMs: 20_000, signal: NEVER });
    const next = await pool.run('answer', { timeMs: 20_000, signal: NEVER });
    assert.notEqual(next.pid, hoarder.pid);
    await untilGone(hoarder.pid);
  } finally {
    await pool.close();
  }
});

test('a child that keeps some memory is used again at once, and gives way to a fresh one when it has nothing to do', async () => {
  const pool = openPool();
  const run = async (behaviour: Behaviour) =>
    (await pool.run(behaviour, { timeMs: 20_000, signal: NEVER })).pid;
  try {
    const small = await run('answer');
    const keeper = await run('keep');
    assert.equal(keeper, small);
    assert.equal(await run('answer'), keeper);
    await untilGone(keeper, 20_000);
    const fresh = await run('answer');
    assert.notEqual(fresh, keeper);
    assert.equal(await run('answer'), fresh);
  } finally {
    await pool.close();
  }
});

test('a pool that is closed leaves no child', async () => {
  const pool = openPool();
  pool.warm();
  const { pid } = await pool.run('answer', { timeMs: 20_000, signal: NEVER });
  const blocked = pool.run('block', { timeMs: 20_000, signal: NEVER });
  await Promise.all([assert.rejects(blocked, ChildFailure), sleep(300).then(() => pool.close())]);
  assert.equal(isAlive(pid), false);
});

test('children that compute end with a parent that is killed', async () => {
  const script = fileURLToPath(new URL('./pool-parent.ts', import.meta.url));
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: parent.stdout })[Symbol.asyncIterator]();
  const pids = String((await lines.next()).value)
    .split(' ')
    .map(Number);
  assert.ok(pids.length === 2 && pids.every(isAlive), String(pids));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await Promise.all(pids.map((pid) => untilGone(pid)));
});

test('the environment of children holds no secret', () => {
  const settings = { storeRoot: '/data', threads: 1, providers: ['cpu'], memoryMebibytes: 64 } as const;
  const before = process.env;
  const secrets = ['REDIS_URL', 'PGPASSWORD', 'AWS_SECRET_ACCESS_KEY', 'HTTP_PROXY', 'MY_PATH', 'X_CUDA_1'];
  process.env = {
    PATH: '/bin',
    CUDA_VISIBLE_DEVICES: '1',
    ...Object.fromEntries(secrets.map((name) => [name, 'secret'])),
  };
  const environment = childEnvironment(settings);
  process.env = before;
  assert.ok(!JSON.stringify(environment).includes('secret'));
  assert.equal(environment.PATH, '/bin');
  assert.equal(environment.CUDA_VISIBLE_DEVICES, '1');
});
