import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readBaseUrl, SERVICE } from '../../scripts/start-server.ts';
import { cannotMount, mountDisk } from '../services/small-disk.ts';

test('a log on a disk that is full stops neither answers nor the end', {
  skip: cannotMount,
}, async (context) => {
  const disk = mountDisk(1);
  const data = await mkdtemp(join(tmpdir(), 'emp-log-'));
  const log = openSync(join(disk.path, 'log'), 'a');
  const service = spawn(process.execPath, [fileURLToPath(SERVICE)], {
    env: { ...process.env, LOG_LEVEL: 'info', HOST: '127.0.0.1', PORT: '0', DATA_DIR: data },
    stdio: ['ignore', 'pipe', log],
  });
  context.after(async () => {
    service.kill('SIGKILL');
    closeSync(log);
    disk.unmount();
    await rm(data, { recursive: true });
  });
  const baseUrl = await readBaseUrl(service);
  await disk.fill();
  for (let i = 0; i < 100; i++) assert.equal((await fetch(`${baseUrl}/healthz`)).status, 200);
  service.kill('SIGTERM');
  assert.deepEqual(await once(service, 'exit'), [0, null]);
});
