import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EmpError } from '../../../src/core/errors.ts';
import { bytesSource } from '../../../src/formats/byte-source.ts';
import { DTYPE_BY_NAME } from '../../../src/formats/safetensors/dtype-codes.ts';
import { parseSafetensorsHeader, readSafetensorsHeader } from '../../../src/formats/safetensors/header.ts';
import { createSafetensorsLayout } from '../../../src/formats/safetensors/write.ts';
import { createFile, createFileOf } from './header-bytes.ts';

const tensor = (dtype: string, shape: unknown, ...data_offsets: unknown[]) => ({
  dtype,
  shape,
  data_offsets,
});

/** The file is refused alike whether it is parsed or read, with this message, about this tensor. */
async function refused(file: Uint8Array, message: RegExp, name?: string): Promise<void> {
  for (const attempt of [
    async () => parseSafetensorsHeader(file),
    () => readSafetensorsHeader(bytesSource(file)),
  ]) {
    await assert.rejects(attempt, (error) => {
      assert(error instanceof EmpError, String(error));
      assert.equal(error.code, 'malformed_safetensors');
      assert.match(error.message, message);
      if (name !== undefined) assert.equal(error.findings[0].path, name);
      return true;
    });
  }
}

describe('accepted', () => {
  test('the empty and the padded header', () => {
    assert.deepEqual(parseSafetensorsHeader(createFile('{}')).tensors, []);
    assert.deepEqual(parseSafetensorsHeader(createFile('{}      ')).tensors, []);
  });

  test('keys in another order than the data, offsets from the start of the file', async () => {
    const file = createFileOf(
      { b: tensor('F16', [2, 2], 4, 12), __metadata__: { format: 'pt' }, a: tensor('U8', [4], 0, 4) },
      12,
    );
    const header = await readSafetensorsHeader(bytesSource(file));
    const start = file.byteLength - 12;
    assert.deepEqual(header.tensors, [
      { name: 'a', dtype: 'uint8', shape: [4], offset: start, byteLength: 4 },
      { name: 'b', dtype: 'float16', shape: [2, 2], offset: start + 4, byteLength: 8 },
    ]);
    assert.deepEqual([...header.metadata], [['format', 'pt']]);
  });

  test('scalars, empty tensors, packed elements, names of Object.prototype', () => {
    const tensors = {
      scalar: tensor('F64', [], 0, 8),
      empty: tensor('F32', [0, 3], 8, 8),
      constructor: tensor('F4', [2, 3], 8, 11),
      toString: tensor('F6_E2M3', [4], 11, 14),
    };
    const { tensors: found } = parseSafetensorsHeader(createFileOf(tensors, 14));
    assert.deepEqual(
      found.map(({ name, byteLength }) => [name, byteLength]),
      [
        ['scalar', 8],
        ['empty', 0],
        ['constructor', 3],
        ['toString', 3],
      ],
    );
  });

  test('the example in the documentation of the reference implementation', () => {
    const header = '{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}';
    assert.equal(header.length, 0x3c);
    assert.deepEqual(parseSafetensorsHeader(createFile(header, 16)).tensors, [
      { name: 'test', dtype: 'int32', shape: [2, 2], offset: 68, byteLength: 16 },
    ]);
  });

  test('a layout that was written is parsed back', () => {
    const dtype = fc.constantFrom(
      ...Array.from(DTYPE_BY_NAME.keys()).filter((name) => !/float[46]/.test(name)),
    );
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc.string({ unit: 'grapheme' }).filter((name) => !/^__(proto|metadata)__$/.test(name)),
        dtype,
        shape: fc.array(fc.nat(5), { maxLength: 4 }),
      }),
      { selector: ({ name }) => name },
    );
    const metadata = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.string(),
    );
    fc.assert(
      fc.property(tensors, metadata, (tensors, metadata) => {
        const layout = createSafetensorsLayout(tensors, metadata);
        assert.equal(layout.header.byteLength % 8, 0);
        const parsed = parseSafetensorsHeader(layout.header, layout.fileByteLength);
        assert.deepEqual(Object.fromEntries(parsed.metadata), { ...metadata });
        const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
        assert.deepEqual(parsed.tensors.toSorted(byName), layout.tensors.toSorted(byName));
      }),
    );
  });
});

describe('hostile files', () => {
  const one = { a: tensor('F32', [2], 0, 8) };

  test('an empty file, one of 7 bytes', async () => {
    await refused(new Uint8Array(), /ends after 0 bytes/);
    await refused(new Uint8Array(7), /ends after 7 bytes/);
  });
  test('a header longer than the file', () =>
    refused(createFile('{}', 0, 3n), /3 bytes long, but the file holds 10/));
  test('a header of 2^64 - 1 bytes', () =>
    refused(createFile('{}', 0, 2n ** 64n - 1n), /18446744073709551615/));
  test('a header beyond 100 MB', () => refused(createFile('{}', 0, 100_000_001n), /limit is 100000000/));
  test('another format', () =>
    refused(Buffer.from('PK\x03\x04 a zip file that was renamed'), /Is this a safetensors/));
  test('no header', () => refused(createFile(''), /byte 8/));
  test('a header that begins with a space, a BOM, a bracket', async () => {
    for (const header of [' {}', '\ufeff{}', '[]']) await refused(createFile(header), /byte 8/);
  });
  test('invalid UTF-8', () => refused(createFile(Buffer.from('{"\xff":1}', 'latin1')), /UTF-8/));
  test('invalid JSON', async () => {
    for (const header of ['{', '{"a"', '{"a":}', "{'a':1}", '{}x', '{"a', '{"\\', '{"\\x":1}'])
      await refused(createFile(header), /not valid JSON/);
  });
  test('a tensor written twice, however the name is spelt', async () => {
    const entry = JSON.stringify(one.a);
    await refused(createFile(`{"a":${entry},"a":${entry}}`, 8), /"a" is written twice/);
    await refused(
      createFile(`{"a":${entry},"\\u0061"${' '.repeat(99)}:${entry}}`, 8),
      /"a" is written twice/,
    );
  });
  test('a member written twice', () =>
    refused(
      createFile('{"a":{"dtype":"F32","dtype":"U8","shape":[2],"data_offsets":[0,8]}}', 8),
      /"dtype" is written/,
    ));
  test('deep nesting', () => refused(createFile(`{"a":${'['.repeat(100_000)}`), /deeper/));
  test('millions of values that take gigabytes once parsed', () =>
    refused(createFile(`{"a":{"shape":[${'0,'.repeat(2_000_000)}0]}}`), /more than 2000000 JSON values/));
  test('a name of a million characters', async () => {
    const file = createFileOf({ ['x'.repeat(1e6)]: one.a }, 8);
    await refused(file, /1000000 characters/);
    assert.throws(
      () => parseSafetensorsHeader(file),
      (error) => String(error).length < 1000,
    );
  });
  test('__proto__ as a name', () =>
    refused(createFile(`{"__proto__":${JSON.stringify(one.a)}}`, 8), /not accepted/, '__proto__'));
  test('half a surrogate pair in a name', () =>
    refused(createFile(`{"\\ud800":${JSON.stringify(one.a)}}`, 8), /surrogate/));
  test('metadata that are not strings', async () => {
    await refused(createFileOf({ __metadata__: { epoch: 3 } }), /"epoch" is not a string/);
    await refused(createFileOf({ __metadata__: ['pt'] }), /not an object/);
  });
  test('a tensor that is no object', async () => {
    for (const value of [null, 1, 'F32', []]) await refused(createFileOf({ a: value }), /not described/, 'a');
  });
  test('an unknown, inherited or missing dtype', async () => {
    for (const dtype of ['F33', 'constructor', '', 4, undefined])
      await refused(createFileOf({ a: { ...one.a, dtype } }, 8), /dtype/, 'a');
  });
  test('negative, fractional, overflowing, textual or missing dimensions', async () => {
    for (const shape of [[-1, -2], [-0], [0.5], [2 ** 53], ['2'], [null], 2, undefined, { length: 1 }]) {
      const file = createFile(JSON.stringify({ a: { ...one.a, shape } }).replace('[0]', '[-0]'), 8);
      await refused(file, /shape is not/, 'a');
    }
  });
  test('dimensions whose product overflows, a zero among them', async () => {
    await refused(createFileOf({ a: tensor('F32', [2 ** 40, 2 ** 40], 0, 8) }, 8), /overflows/, 'a');
    await refused(createFileOf({ a: tensor('F32', [2 ** 40, 2 ** 40, 0], 0, 0) }), /overflows/, 'a');
  });
  test('a thousand dimensions', () =>
    refused(createFileOf({ a: tensor('U8', Array(1000).fill(1), 0, 1) }, 1), /1000 dimensions/, 'a'));
  test('packed elements that do not fill their last byte', () =>
    refused(createFileOf({ a: tensor('F4', [3], 0, 2) }, 2), /whole bytes/, 'a'));
  test('a shape that takes more or fewer bytes than the offsets hold', async () => {
    await refused(
      createFileOf({ a: tensor('F32', [3], 0, 8) }, 8),
      /takes 12 bytes, data_offsets hold 8/,
      'a',
    );
    await refused(createFileOf({ a: tensor('F32', [1], 0, 8) }, 8), /takes 4 bytes/, 'a');
  });
  test('offsets that are no pair of whole numbers', async () => {
    for (const data_offsets of [[0], [0, 8, 8], [-8, 0], [0, 8.5], [0, 2 ** 60], ['0', '8'], null])
      await refused(createFileOf({ a: { ...one.a, data_offsets } }, 8), /data_offsets is not/, 'a');
  });
  test('offsets out of order', () =>
    refused(createFileOf({ a: tensor('F32', [2], 8, 0) }, 8), /before their start/, 'a'));
  test('overlapping data', () =>
    refused(createFileOf({ ...one, b: tensor('F32', [2], 4, 12) }, 12), /overlap those of "a"/, 'b'));
  test('two tensors of the same data', () => refused(createFileOf({ ...one, b: one.a }, 8), /overlap/));
  test('a hole before, between and after the data', async () => {
    await refused(createFileOf({ a: tensor('F32', [2], 4, 12) }, 12), /bytes 0-4 before its data/, 'a');
    await refused(createFileOf({ ...one, b: tensor('F32', [2], 12, 20) }, 20), /bytes 8-12/, 'b');
    await refused(createFileOf(one, 11), /last 3 bytes/);
  });
  test('a file cut short', () => refused(createFileOf(one, 7), /end at 8, the file's at 7/, 'a'));
});
