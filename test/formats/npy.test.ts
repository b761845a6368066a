import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EmpError, type ErrorCode } from '../../src/core/errors.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { openFileSource } from '../../src/formats/file-source.ts';
import { parseNpyHeader, readNpyHeader } from '../../src/formats/npy.ts';
import { sharedFixtures } from '../shared.ts';
import { createNpy } from './npy-bytes.ts';

const dict = (descr = "'<f4'", order = 'False', shape = '(2, 3)') =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`;
const DATA = new Uint8Array(24);

async function refused(file: Uint8Array, message: RegExp, code: ErrorCode = 'malformed_npy'): Promise<void> {
  for (const attempt of [async () => parseNpyHeader(file), () => readNpyHeader(bytesSource(file))]) {
    await assert.rejects(attempt, (error) => {
      assert(error instanceof EmpError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });
  }
}

describe('accepted', () => {
  for (const version of [1, 2, 3]) {
    test(`version ${version}`, async () => {
      const file = createNpy(dict(), DATA, version);
      const expected = { dtype: 'float32', shape: [2, 3], dataOffset: file.byteLength - 24, byteLength: 24 };
      assert.deepEqual(parseNpyHeader(file), expected);
      assert.deepEqual(await readNpyHeader(bytesSource(file)), expected);
    });
  }

  test('every dtype and its width', () => {
    const dtypes = {
      '<f2': ['float16', 2],
      '<f4': ['float32', 4],
      '<f8': ['float64', 8],
      '|b1': ['bool', 1],
      '|i1': ['int8', 1],
      '<i2': ['int16', 2],
      '<i4': ['int32', 4],
      '<i8': ['int64', 8],
      '|u1': ['uint8', 1],
      '<u2': ['uint16', 2],
      '<u4': ['uint32', 4],
      '<u8': ['uint64', 8],
    } as const;
    for (const [descr, [dtype, width]] of Object.entries(dtypes)) {
      const header = parseNpyHeader(createNpy(dict(`'${descr}'`), new Uint8Array(6 * width)));
      assert.deepEqual([header.dtype, header.byteLength], [dtype, 6 * width]);
    }
  });

  test('shapes: scalar, vector, empty, Python 2 longs', () => {
    const shapeOf = (shape: string, n: number) =>
      parseNpyHeader(createNpy(dict("'|u1'", 'False', shape), new Uint8Array(n))).shape;
    assert.deepEqual(shapeOf('()', 1), []);
    assert.deepEqual(shapeOf('(5,)', 5), [5]);
    assert.deepEqual(shapeOf('(0, 3)', 0), [0, 3]);
    assert.deepEqual(shapeOf('(2L, 3L)', 6), [2, 3]);
  });

  test('keys in another order, double quotes, no trailing comma', () => {
    const text = `{'shape':(2,3),'descr':"<f4",'fortran_order':False}`;
    assert.deepEqual(parseNpyHeader(createNpy(text, DATA)).shape, [2, 3]);
  });
});

describe('refused', () => {
  test('another format, an empty file', async () => {
    await refused(Buffer.from('PK\x03\x04'), /NUMPY/);
    await refused(new Uint8Array(), /NUMPY/);
  });
  test('what came in its place', async () => {
    for (const [text, message] of [
      [
        'version https://git-lfs.github.com/spec/v1\noid sha256:00\n',
        /it is a Git LFS pointer.*git lfs pull/,
      ],
      ['<!doctype html><html>', /it is an HTML page/],
    ] as const)
      await assert.rejects(readNpyHeader(bytesSource(Buffer.from(text))), { code: 'malformed_npy', message });
  });
  test('an unknown version', async () => {
    await refused(Buffer.from('\x93NUMPY\x04\0\x01\0\0\0', 'latin1'), /version 4/);
    await refused(Buffer.from('\x93NUMPY', 'latin1'), /version/);
  });
  test('a file that ends within its header', async () => {
    const file = createNpy(dict(), DATA, 2);
    await refused(file.subarray(0, 9), /within the header/);
    await refused(file.subarray(0, 60), /should end at byte 128, the file does at 60/);
  });
  test('a header of four gigabytes', () => {
    const file = createNpy(dict(), DATA, 2);
    file.writeUInt32LE(0xffffffff, 8);
    return refused(file, /4294967295 bytes are more/);
  });
  test('Fortran order', () => refused(createNpy(dict("'<f4'", 'True'), DATA), /ascontiguousarray/));
  test('big-endian numbers', () =>
    refused(createNpy(dict("'>f4'"), DATA), /astype\('<f4'\)/, 'unsupported_dtype'));
  test('pickled objects', () => refused(createNpy(dict("'|O'"), DATA), /pickled/, 'unsupported_dtype'));
  test('bfloat16, which NumPy writes as void', () =>
    refused(createNpy(dict("'<V2'"), DATA), /bfloat16/, 'unsupported_dtype'));
  test('complex numbers, strings, dates', async () => {
    for (const descr of ['<c8', '<U5', '<M8[ns]', 'f4', 'constructor'])
      await refused(createNpy(dict(`'${descr}'`), DATA), /expected one of <f2/, 'unsupported_dtype');
  });
  test('a dtype of kilobytes, of which the ends are told', async () => {
    for (const descr of ['x'.repeat(24_000), `>${'f'.repeat(24_000)}`])
      await refused(
        createNpy(dict(`'${descr}'`), DATA),
        /^dtype '.{1,40}' is not .{1,160}$/,
        'unsupported_dtype',
      );
  });
  test('a structured array', () =>
    refused(createNpy(dict("[('a', '<f4')]"), DATA), /structured/, 'unsupported_dtype'));
  test('too few and too many bytes', async () => {
    const file = createNpy(dict(), DATA);
    await refused(file.subarray(0, -1), /takes 24 bytes, 23 follow/);
    await refused(Buffer.concat([file, file]), /24 bytes, 176 follow/);
  });
  test('a shape that overflows', async () => {
    const nines = '9'.repeat(400);
    const hidden = ['(5, 0, 100000000000000000000)', '(5, 0, 9007199254740992)'];
    for (const shape of ['(4294967296, 4294967296)', `(${nines},)`, `(${nines}, 0)`, ...hidden])
      await refused(createNpy(dict("'<f4'", 'False', shape), DATA), /overflows/);
  });
  test('a thousand dimensions', () =>
    refused(createNpy(dict("'<f4'", 'False', `(${'1, '.repeat(1000)})`), DATA), /1000 dimensions/));
  test('Python that is not the literal', async () => {
    const literals = [
      '',
      '{',
      '{}',
      dict().slice(0, -1),
      `${dict()}; import os`,
      dict("__import__('os')"),
      dict("'<f4"),
      dict('"<f4\\""'),
      dict("'<f4'", '0'),
      dict("'<f4'", 'not True'),
      dict("'<f4'", 'False', '(-2, -3)'),
      dict("'<f4'", 'False', '(6)'),
      dict("'<f4'", 'False', '(,)'),
      dict("'<f4'", 'False', '(2 3)'),
      dict("'<f4'", 'False', '(2,,3)'),
      dict("'<f4'", 'False', '(2.0, 3)'),
      dict("'<f4'", 'False', '[2, 3]'),
      dict("'<f4'", 'False', '(6,'),
      "{'descr': '<f4', 'shape': (6,)}",
      dict().replace('fortran_order', 'order'),
      dict().replace("{'", "{'descr': '<f4', '"),
      dict().replace(',', ',,'),
    ];
    for (const literal of literals) await refused(createNpy(literal, DATA), /header|value|twice/);
  });
  test('white space that makes a pattern backtrack', () => {
    const start = performance.now();
    for (const shape of [`(1${' '.repeat(60_000)}`, `(${'1'.repeat(60_000)}`, `(${'1 ,'.repeat(20_000)}`])
      assert.throws(() => parseNpyHeader(createNpy(dict("'<f4'", 'False', shape), DATA, 2)), EmpError);
    assert(performance.now() - start < 1000);
  });
});

test('golden fixtures: the arrays that NumPy wrote', async (t) => {
  const fixtures = sharedFixtures();
  if (!fixtures) return t.skip('golden check did not run: ../shared/fixtures is not here');
  const folder = join(fixtures, 'fc2-mnist');
  const shapes: Record<string, unknown> = {};
  for (const name of (await readdir(folder)).filter((name) => name.endsWith('.npy')).sort()) {
    await using source = await openFileSource(join(folder, name));
    const { dtype, shape } = await readNpyHeader(source);
    shapes[name] = [dtype, shape];
  }
  // The fixtures' README: float32 images [n, 1, 28, 28] and int64 labels, 512 for calibration and 2,000 for evaluation.
  assert.deepEqual(shapes, {
    'calibration_inputs.npy': ['float32', [512, 1, 28, 28]],
    'calibration_labels.npy': ['int64', [512]],
    'eval_inputs.npy': ['float32', [2000, 1, 28, 28]],
    'eval_labels.npy': ['int64', [2000]],
  });
});

test("files written by this machine's NumPy", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'emp-npy-'));
  t.after(() => rm(folder, { recursive: true }));
  const script = `
import numpy as np
np.save('c.npy', np.arange(24, dtype='<f8').reshape(2, 3, 4))
np.save('scalar.npy', np.float32(3))
np.save('fortran.npy', np.asfortranarray(np.ones((3, 4))))
np.save('big.npy', np.ones(3, dtype='>i4'))
np.save('object.npy', np.array([None], dtype=object))`;
  try {
    execFileSync('/usr/bin/python3', ['-c', script], { cwd: folder, stdio: 'pipe' });
  } catch {
    return t.skip('/usr/bin/python3 with NumPy is not here');
  }
  const read = async (name: string) => {
    await using source = await openFileSource(join(folder, name));
    return await readNpyHeader(source);
  };
  assert.deepEqual(await read('c.npy'), {
    dtype: 'float64',
    shape: [2, 3, 4],
    dataOffset: 128,
    byteLength: 192,
  });
  assert.deepEqual((await read('scalar.npy')).shape, []);
  await assert.rejects(read('fortran.npy'), { code: 'malformed_npy' });
  await assert.rejects(read('big.npy'), { code: 'unsupported_dtype' });
  await assert.rejects(read('object.npy'), { code: 'unsupported_dtype' });
});
