import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AUDIENCE, githubClaims, openTestIssuer } from './access/test-issuer.ts';
import { startRedis } from './services/redis.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

async function start(
  t: TestContext,
  role: string[],
  env: Record<string, string>,
): Promise<ChildProcessWithoutNullStreams> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-main-'));
  const settings = {
    PATH: process.env.PATH ?? '',
    NODE_OPTIONS: process.env.NODE_OPTIONS ?? '',
    DATA_DIR: directory,
    PORT: '0',
    LOG_LEVEL: 'error',
    ...env,
  };
  // In a group of its own, which is empty once nothing of it is left.
  const child = spawn(process.execPath, [MAIN, ...role], { env: settings, detached: true });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return child;
}

async function ended(child: ChildProcessWithoutNullStreams) {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, stdout, stderr };
}

for (const [role, env, message] of [
  [['api'], {}, /^cannot start: role api needs REDIS_URL or DATABASE_URL: .*\n$/],
  [['worker'], {}, /^cannot start: role worker needs REDIS_URL or DATABASE_URL: .*\n$/],
  [['both'], {}, /^cannot start: role "both" must be one of all, api, worker\n$/],
  [['api'], { REDIS_URL: 'redis://127.0.0.1:1' }, /^cannot start: cannot reach Redis at .*ECONNREFUSED.*\n$/],
  [[], { DATA_DIR: '/etc/passwd' }, /^cannot start: DATA_DIR="\/etc\/passwd": ENOTDIR: .*\n$/],
  [
    [],
    { HOST: '0.0.0.0' },
    /^cannot start: HOST="0\.0\.0\.0" lets everyone .* API_KEYS_FILE .* ALLOW_ANONYMOUS=true\n$/,
  ],
  [[], { API_KEYS_FILE: '/nonexistent' }, /^cannot start: API_KEYS_FILE="\/nonexistent": ENOENT: .*\n$/],
  [[], { API_KEYS_FILE: '/etc/passwd' }, /^cannot start: \/etc\/passwd is no JSON .*\n$/],
  [[], { PORT: 'x' }, /^cannot start: PORT="x" must be a whole number from 0 to 65535\n$/],
] as const) {
  test(`${role.join()} ${JSON.stringify(env)}: one line and code 1`, async (t) => {
    const { code, stdout, stderr } = await ended(await start(t, [...role], env));
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, message);
  });
}

test('what the system refuses names the setting that asked for it', { timeout: 60_000 }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const port = String((taken.address() as AddressInfo).port);
  for (const [role, env, message] of [
    [
      'api',
      { HOST: 'http://localhost', ALLOW_ANONYMOUS: 'true' },
      /^HOST="http:\/\/localhost", PORT=0: .*ENOTFOUND/,
    ],
    ['api', { PORT: port }, new RegExp(`^HOST="127.0.0.1", PORT=${port}: .*EADDRINUSE`)],
    ['worker', { HEARTBEAT_FILE: '/nonexistent/x' }, /^HEARTBEAT_FILE="\/nonexistent\/x": ENOENT/],
  ] as const) {
    const { code, stdout, stderr } = await ended(await start(t, [role], { REDIS_URL: redis.url, ...env }));
    assert.deepEqual([code, stdout], [1, '']);
    const [, told = ''] = /^cannot start: (.*)\n$/.exec(stderr) ?? [];
    assert.match(told, message);
  }
});

test('takes the tokens of its issuer, and then listens on every address', { timeout: 60_000 }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const issuer = await openTestIssuer(t);
  const child = await start(t, ['api'], {
    REDIS_URL: redis.url,
    HOST: '0.0.0.0',
    OIDC_ISSUER: issuer.url,
    OIDC_AUDIENCE: AUDIENCE,
    OIDC_TENANT_CLAIM: 'repository_owner_id',
    OIDC_SCOPES: 'read',
    OIDC_TENANTS: '65',
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = /:(\d+)\n$/.exec(line.toString())?.[1];
  const ask = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`http://127.0.0.1:${port}/v1/models`, { headers })).status;
  };
  assert.equal(await ask(await issuer.sign(githubClaims())), 200);
  assert.equal(await ask(await issuer.sign({ ...githubClaims(), repository_owner_id: '66' })), 403);
  assert.equal(await ask('emp_nobody'), 401);
});

test('warns of a disk that leaves no room for uploads, where there are uploads', async (t) => {
  const env = { REDIS_URL: 'redis://127.0.0.1:1', MIN_FREE_BYTES: String(2 ** 52), LOG_LEVEL: 'warn' };
  const { stderr } = await ended(await start(t, ['api'], env));
  const [{ msg, free, MIN_FREE_BYTES }] = stderr
    .split('\n')
    .map((line) => JSON.parse(line.startsWith('{') ? line : '{}'));
  assert.match(msg, /^uploads are refused/);
  assert.ok(free > 0 && MIN_FREE_BYTES === 2 ** 52);
  assert.doesNotMatch((await ended(await start(t, ['worker'], env))).stderr, /uploads/);
  assert.doesNotMatch(
    (await ended(await start(t, ['api'], { ...env, MIN_FREE_BYTES: '1' }))).stderr,
    /uploads/,
  );
});

test('a provider that cannot start ends whoever needs it with its name, and nobody else', {
  timeout: 60_000,
}, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  // Without a visible device CUDA starts on no machine.
  const env = { REDIS_URL: redis.url, EXECUTION_PROVIDERS: 'cuda', CUDA_VISIBLE_DEVICES: '-1' };
  for (const role of ['worker', 'all']) {
    const { code, stdout, stderr } = await ended(await start(t, [role], env));
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(
      stderr,
      /^cannot start: EXECUTION_PROVIDERS=cuda: the execution provider 'cuda' cannot start; .+\n$/,
    );
  }
  const [line] = (await once((await start(t, ['api'], env)).stdout, 'data')) as [Buffer];
  assert.match(line.toString(), /^listening on /);
});

test('says once where it listens, and ends on SIGTERM after finishing requests', {
  timeout: 30_000,
}, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const child = await start(t, [], { REDIS_URL: redis.url });
  const result = ended(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const url = /^listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line.toString())?.[1] ?? '';
  assert.deepEqual(await (await fetch(`${url}/readyz`)).json(), { status: 'ok' });
  const scores = new Uint8Array(new Float32Array(5_000_000).fill(1).buffer);
  const headers = { 'content-type': 'application/octet-stream' };
  const answering = fetch(`${url}/v1/thresholds`, { method: 'POST', body: scores, headers });
  await fetch(`${url}/healthz`);
  child.kill('SIGTERM');
  assert.equal((await answering).status, 200);
  const { code, stderr } = await result;
  assert.deepEqual([code, stderr], [0, '']);
});

const GONE_WITHIN_MS = 2000;

/** Whether any process of a group is. */
function isThere(group = 0): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

/** Ends it, and sees that it ends in order, with all that it started. */
async function endInOrder(
  child: ChildProcessWithoutNullStreams,
  ending: ReturnType<typeof ended>,
  signal: NodeJS.Signals = 'SIGTERM',
) {
  child.kill(signal);
  const { code, stderr } = await ending;
  assert.deepEqual([code, stderr], [0, '']);
  // What a killed process had started goes a moment after it.
  for (const deadline = Date.now() + GONE_WITHIN_MS; isThere(child.pid); await sleep(20))
    assert.ok(Date.now() < deadline, 'something that it started is left');
}

test('ends in order at a signal that follows the line at once', { timeout: 60_000 }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  // The last one is what a terminal that is closed sends.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const child = await start(t, ['api'], { REDIS_URL: redis.url });
    const ending = ended(child);
    await once(child.stdout, 'data');
    await endInOrder(child, ending, signal);
  }
});

test('ends in order at a SIGTERM while it waits for a queue that never answers', {
  timeout: 30_000,
}, async (t) => {
  const silent = createServer().listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const child = await start(t, [], { REDIS_URL: url });
  const ending = ended(child);
  const [socket] = await once(silent, 'connection');
  await endInOrder(child, ending);
  socket.destroy();
});

test('ends in order at a SIGTERM while it opens its own queue', { timeout: 30_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-main-'));
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const child = await start(t, [], { DATA_DIR: directory });
  const ending = ended(child);
  while (!existsSync(join(directory, 'queue'))) await sleep(1);
  await endInOrder(child, ending);
});
