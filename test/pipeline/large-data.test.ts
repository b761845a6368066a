import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BYTES = 2 ** 30;
const FEATURES = 512;
const MAX_RESIDENT_BYTES = 500e6;
const CHILD = fileURLToPath(new URL('large-data-process.ts', import.meta.url));

test('a gigabyte of calibration data goes through a child of less than half of that', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-large-data-'));
  try {
    const path = join(directory, 'input.bin');
    {
      // Zeros take no room on the disk and go the same way. What differs from them is at the end: it counts only if all is read.
      await using file = await open(path, 'w');
      await file.truncate(BYTES);
      await file.write(new Float32Array(FEATURES).fill(3), 0, FEATURES * 4, BYTES - FEATURES * 4);
    }
    const nSamples = BYTES / 4 / FEATURES;
    const { stdout } = await promisify(execFile)(process.execPath, [
      CHILD,
      path,
      `${nSamples}`,
      `${FEATURES}`,
    ]);
    const { residentBytes, samplesRun, largestScore, largestWeight } = JSON.parse(stdout);
    assert.equal(samplesRun, nSamples);
    assert.ok(Math.abs(largestScore - 3 * largestWeight) < 1e-6 * largestScore);
    assert.ok(residentBytes < MAX_RESIDENT_BYTES, `${residentBytes / 1e6} MB resident`);
  } finally {
    await rm(directory, { recursive: true });
  }
});
