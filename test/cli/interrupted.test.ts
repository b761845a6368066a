import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fillDisk } from '../services/fill-disk.ts';
import { cannotMount, mountDisk } from '../services/small-disk.ts';
import { openEmpHere } from './emp-here.ts';
import { CALIBRATION, EXAMPLE, ended, MODEL, openPlace } from './run-emp.ts';

/** Long enough to be interrupted. */
const SEARCH = ['find', ...EXAMPLE, '--calibration', CALIBRATION, '--max-loss-increase', '0.1'];

/** Processes whose environment names a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const environments = await Promise.all(
    ids.map((id) => readFile(`/proc/${id}/environ`, 'utf8').catch(() => '')),
  );
  return ids.filter((_, i) => environments[i].includes(folder));
}

describe('emp', () => {
  const emp = openEmpHere();

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    test(`leaves nothing after ${signal}: no file, no process`, async (t) => {
      const place = await openPlace(t);
      const child = place.start(SEARCH);
      const end = ended(child);
      assert.ok(child.stderr);
      await once(child.stderr, 'data');
      child.kill(signal);
      // The terminal tells all of its processes, and one that started this may tell it again.
      child.kill(signal);
      assert.equal((await end).code, expected);
      assert.deepEqual(await place.files(), []);
      assert.deepEqual(await processesOf(place.temporary), []);
    });

  test('says nothing to a reader that has gone, and ends as it would have', async (t) => {
    const place = await openPlace(t);
    const child = place.start(['inspect', MODEL]);
    child.stdout?.destroy();
    child.stderr?.destroy();
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.deepEqual(await place.files(), []);
  });

  test('ends in one line where the disk of temporary files fills up', { skip: cannotMount }, async (t) => {
    const place = await openPlace(t);
    const disk = mountDisk(64);
    t.after(() => disk.unmount());
    const child = place.start(SEARCH, { env: { TMPDIR: disk.path } });
    const end = ended(child);
    assert.ok(child.stderr);
    await once(child.stderr, 'data');
    await fillDisk(join(disk.path, 'filler'));
    const { code, stderr } = await end;
    assert.equal(code, 1);
    assert.match(stderr, /^emp: .* has no room left: TMPDIR names another folder$/m);
    assert.deepEqual(await readdir(disk.path), ['filler']);
    assert.deepEqual(await place.files(), []);
  });

  test('ends in one line where the output finds no room, or may not be written', {
    skip: cannotMount,
  }, async (t) => {
    const place = await openPlace(t);
    const disk = mountDisk(1);
    t.after(() => disk.unmount());
    await fillDisk(join(disk.path, 'filler'));
    await assertRefused(
      join(disk.path, 'out'),
      1,
      /no space is left on the disk: name another folder with --output$/m,
    );
    execFileSync('mount', ['-o', 'remount,ro', disk.path]);
    await assertRefused(join(disk.path, 'out'), 2, /its file system is read-only: name another folder/);
    await assertRefused('/proc/out', 2, /^emp: cannot write to \/proc\/out: /);
    await mkdir(join(place.path, 'full/of'), { recursive: true });
    await assertRefused('full', 2, /^emp: full is not empty/);
    assert.deepEqual(await readdir(disk.path), ['filler']);
    assert.deepEqual(await place.files(), ['full']);

    async function assertRefused(output: string, expected: number, said: RegExp): Promise<void> {
      const { code, stderr, stdout } = await emp(place, 'prune', MODEL, '--output', output);
      assert.deepEqual([code, stdout], [expected, '']);
      assert.match(stderr, said);
    }
  });
});
