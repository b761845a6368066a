import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freeBytes } from '../../src/storage/free-space.ts';
import { fillDisk } from './fill-disk.ts';

/** A disk of its own that a test can fill to the last byte. */
export interface SmallDisk {
  readonly path: string;
  /** Leaves no byte free. */
  fill(): Promise<void>;
  /** Gives back what was filled. */
  free(): Promise<void>;
  /** Once nothing is in use. */
  unmount(): void;
}

/** Why this machine cannot mount a small disk; false where it can. To be a test's `skip`. */
export const cannotMount: string | false = (() => {
  try {
    mountDisk(1).unmount();
    return false;
  } catch {
    return 'mounting a small disk (tmpfs) takes root';
  }
})();

export function mountDisk(megabytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'emp-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  const filler = join(path, 'filler');
  return {
    path,
    fill: () => fillDisk(filler),
    async free() {
      await rm(filler);
      // Whoever is still filling it holds its bytes.
      while ((await freeBytes(path)) < 2 ** 20) await sleep(10);
    },
    unmount() {
      execFileSync('umount', [path], { stdio: 'pipe' });
      rmdirSync(path);
    },
  };
}
