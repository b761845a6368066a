import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { EmpError, type ErrorCode } from '../../src/core/errors.ts';
import { openNpz } from '../../src/formats/npz.ts';
import { readScoreArrays, type ScoreArray } from '../../src/formats/score-file.ts';
import { createZip, type ZipEntry } from './archive-bytes.ts';
import { createFloatNpy, createNpy } from './npy-bytes.ts';
import { createFileOf } from './safetensors/header-bytes.ts';

const LIMITS = { maxBytes: 1_000_000, maxFiles: 10 };
let folder: string;
let npz: string;
let destination: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emp-npz-'));
  npz = join(folder, 'scores.npz');
  destination = join(folder, 'arrays');
  await mkdir(destination);
});
afterEach(() => rm(folder, { recursive: true }));

async function extract(entries: readonly ZipEntry[]): Promise<ReadonlyMap<string, string>> {
  await writeFile(npz, createZip(entries));
  return unpack();
}

async function unpack(): Promise<ReadonlyMap<string, string>> {
  await using archive = await openNpz(npz, LIMITS);
  const paths = new Map<string, string>();
  for (const { name, open } of archive.entries) {
    paths.set(name, join(destination, `${paths.size}.npy`));
    await writeFile(join(destination, `${paths.size - 1}.npy`), open());
  }
  return paths;
}

async function refused(entries: readonly ZipEntry[], message: RegExp, code: ErrorCode = 'malformed_npz') {
  await assert.rejects(extract(entries), (error) => {
    assert(error instanceof EmpError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** The float32 numbers an array's range holds. */
async function numbersOf({ range }: ScoreArray): Promise<number[]> {
  const bytes = (await readFile(range.path)).subarray(range.offset, range.offset + range.byteLength);
  return [...new Float32Array(new Uint8Array(bytes).buffer)];
}

test('arrays stored and deflated, under any name', async () => {
  const arrays = { 'layer.0.weight': [1, 2, 3], '/up/../MatMul:0': [4], 'größe/b': [5, 6] };
  const paths = await extract(
    Object.entries(arrays).map(([name, values], i) => {
      return { name: `${name}.npy`, content: createFloatNpy(values), deflate: i % 2 === 1 };
    }),
  );
  const scores = await readScoreArrays({ format: 'npy', paths });
  assert.deepEqual(
    scores.map(({ name, dtype, shape }) => [name, dtype, shape]),
    [
      ['layer.0.weight', 'float32', [3]],
      ['/up/../MatMul:0', 'float32', [1]],
      ['größe/b', 'float32', [2]],
    ],
  );
  assert.deepEqual(await Promise.all(scores.map(numbersOf)), Object.values(arrays));
  for (const path of paths.values()) assert.equal(join(path, '..'), destination);
});

test('an entry that is no array', async () => {
  await refused([{ name: 'readme.txt', content: 'x' }], /"readme\.txt" is not an array/);
  await refused([{ name: '.npy', content: createFloatNpy([1]) }], /not an array/);
  await refused([{ name: 'a.npy', content: '/etc/passwd', mode: 0o120777 }], /not an array/);
});
test('the same array twice', () => {
  const entry = { name: 'a.npy', content: createFloatNpy([1]) };
  return refused([entry, entry], /twice/);
});
test('no arrays', () => refused([], /no arrays/));
test('a broken archive', () =>
  refused([{ name: 'a.npy', content: createFloatNpy([1]), claimed: { crc: 1 } }], /a\.npy: .*CRC/));
test('a bomb', () =>
  refused(
    [{ name: 'a.npy', content: Buffer.alloc(5_000_000), deflate: true }],
    /more than 1000000/,
    'payload_too_large',
  ));
test('too many arrays', () => {
  const entries = Array.from({ length: 11 }, (_, i) => ({ name: `${i}.npy`, content: createFloatNpy([i]) }));
  return refused(entries, /more than 10/, 'payload_too_large');
});

test('a malformed array is named', async () => {
  const paths = await extract([
    { name: 'good.npy', content: createFloatNpy([1]) },
    {
      name: 'bad.npy',
      content: createNpy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", new Uint8Array(16)),
    },
  ]);
  await assert.rejects(readScoreArrays({ format: 'npy', paths }), (error) => {
    assert(error instanceof EmpError);
    assert.equal(error.code, 'malformed_npy');
    assert.match(error.message, /^array "bad": .*Fortran/);
    return true;
  });
});

test('scores in a safetensors file', async () => {
  const path = join(folder, 'scores.safetensors');
  const file = createFileOf(
    {
      a: { dtype: 'F32', shape: [2], data_offsets: [4, 12] },
      b: { dtype: 'BF16', shape: [1, 2], data_offsets: [0, 4] },
    },
    12,
  );
  file.set(new Uint8Array(new Float32Array([1.5, -2]).buffer), file.byteLength - 8);
  await writeFile(path, file);
  const [b, a] = await readScoreArrays({ format: 'safetensors', path });
  assert.deepEqual([b.name, b.dtype, b.shape], ['b', 'bfloat16', [1, 2]]);
  assert.deepEqual(await numbersOf(a), [1.5, -2]);
});

test("an archive written by this machine's NumPy", async (t) => {
  const script = `
import numpy as np
np.savez_compressed('scores.npz', **{'a.weight': np.arange(1000, dtype='<f4').reshape(10, 100), 'b/c': np.ones(3, dtype='<f4')})`;
  try {
    execFileSync('/usr/bin/python3', ['-c', script], { cwd: folder, stdio: 'pipe' });
  } catch {
    return t.skip('/usr/bin/python3 with NumPy is not here');
  }
  const scores = await readScoreArrays({ format: 'npy', paths: await unpack() });
  assert.deepEqual(
    scores.map(({ name, shape }) => [name, shape]),
    [
      ['a.weight', [10, 100]],
      ['b/c', [3]],
    ],
  );
  assert.deepEqual(
    await numbersOf(scores[0]),
    Array.from({ length: 1000 }, (_, i) => i),
  );
});
