import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readBaseUrl } from '../../scripts/start-server.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('`npm start` passes on the signal that ends it', async (t) => {
  const { REDIS_URL: _redis, DATABASE_URL: _database, ...inherited } = process.env;
  const DATA_DIR = await mkdtemp(join(tmpdir(), 'emp-npm-'));
  const npm = spawn('npm', ['start'], {
    cwd: ROOT,
    env: { ...inherited, HOST: '127.0.0.1', PORT: '0', DATA_DIR },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  t.after(() => {
    // Of its group nobody is left, unless the test has failed.
    try {
      process.kill(-(npm.pid ?? Number.NaN), 'SIGKILL');
    } catch {}
  });
  const ended = once(npm, 'exit');
  const url = await readBaseUrl(npm);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  npm.kill('SIGTERM');
  await ended;
  const deadline = Date.now() + 20_000;
  const isThere = () =>
    fetch(`${url}/healthz`).then(
      () => true,
      () => false,
    );
  while (await isThere()) assert.ok(Date.now() < deadline, 'it is still there');
});
