import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { EmpError, type ErrorCode } from '../../src/core/errors.ts';
import { type ArchiveKind, extractArchive } from '../../src/formats/archive.ts';
import { createZip, createZip64Locator, writeTar, type ZipEntry } from './archive-bytes.ts';

const LIMITS = { maxBytes: 1_000_000, maxFiles: 10 };
let folder: string;
let destination: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emp-archive-'));
  destination = await mkdtemp(join(folder, 'out-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function extract(kind: ArchiveKind, bytes?: Uint8Array, limits = LIMITS): Promise<string[]> {
  const path = join(folder, 'archive');
  if (bytes) await writeFile(path, bytes);
  return extractArchive(path, kind, destination, limits);
}

async function refused(extraction: Promise<unknown>, message: RegExp, code: ErrorCode = 'malformed_archive') {
  await assert.rejects(extraction, (error) => {
    assert(error instanceof EmpError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

const content = (name: string) => readFile(join(destination, name), 'utf8');
const tarPath = () => join(folder, 'archive');

const ZIP: readonly ZipEntry[] = [
  { name: 'model/', content: '', mode: 0o040755 },
  { name: 'model/model.onnx', content: 'graph' },
  { name: 'model/weights.bin', content: 'w'.repeat(100_000), deflate: true },
  { name: '__MACOSX/model/._model.onnx', content: 'resource fork' },
  { name: 'empty', content: '' },
];

describe('zip', () => {
  for (const zip64 of [false, true]) {
    test(`extracts stored and deflated files${zip64 ? ', zip64' : ''}`, async () => {
      const files = await extract('zip', createZip(ZIP, { zip64 }));
      assert.deepEqual(files, ['model/model.onnx', 'model/weights.bin', 'empty']);
      assert.equal(await content('model/model.onnx'), 'graph');
      assert.equal(await content('model/weights.bin'), 'w'.repeat(100_000));
      assert.equal(await content('empty'), '');
      assert.deepEqual((await readdir(destination)).sort(), ['empty', 'model']);
    });
  }

  const escapes = [
    '../evil',
    'a/../../evil',
    '/etc/evil',
    'C:/evil',
    'a\\..\\evil',
    'a/./b',
    'a//b',
    'nul\0',
  ];
  for (const name of escapes) {
    test(`zip slip: ${JSON.stringify(name)}`, async () => {
      await refused(extract('zip', createZip([{ name, content: 'x' }])), /"/);
      assert.deepEqual(await readdir(destination), []);
    });
  }

  test('symlink', () =>
    refused(extract('zip', createZip([{ name: 'a', content: '/etc/passwd', mode: 0o120777 }])), /symlink/));

  test('device', () =>
    refused(extract('zip', createZip([{ name: 'a', content: '', mode: 0o020666 }])), /device/));

  test('the same name twice', () =>
    refused(
      extract(
        'zip',
        createZip([
          { name: 'a', content: '1' },
          { name: './a', content: '2' },
        ]),
      ),
      /twice/,
    ));

  test('a name that is a file and a folder', () =>
    refused(
      extract(
        'zip',
        createZip([
          { name: 'a', content: '1' },
          { name: 'a/b', content: '2' },
        ]),
      ),
      /folder/,
    ));

  test('a bomb: little that inflates beyond the limit', async () => {
    const bomb = createZip([{ name: 'a', content: Buffer.alloc(50_000_000), deflate: true }]);
    assert(bomb.length < 100_000);
    await refused(extract('zip', bomb), /more than 1000000 bytes/, 'payload_too_large');
    assert((await readFile(join(destination, 'a'))).length <= LIMITS.maxBytes);
  });

  test('a bomb that understates its size', () => {
    const entry = { name: 'a', content: Buffer.alloc(50_000_000), deflate: true };
    return refused(
      extract('zip', createZip([{ ...entry, claimed: { uncompressedSize: 10 } }])),
      /too many bytes/,
    );
  });

  test('a bomb in parts, each within the limit', () => {
    const entries = ['a', 'b', 'c'].map((name) => ({ name, content: Buffer.alloc(400_000), deflate: true }));
    return refused(extract('zip', createZip(entries)), /more than 1000000 bytes/, 'payload_too_large');
  });

  test('too many entries', () => {
    const entries = Array.from({ length: 11 }, (_, i) => ({ name: `${i}/`, content: '' }));
    return refused(extract('zip', createZip(entries)), /more than 10 entries/, 'payload_too_large');
  });

  test('exactly as much as the limits allow', async () => {
    const entries = Array.from({ length: 10 }, (_, i) => ({ name: `${i}`, content: Buffer.alloc(100_000) }));
    assert.equal((await extract('zip', createZip(entries))).length, 10);
  });

  test('content that does not match its checksum', () =>
    refused(extract('zip', createZip([{ name: 'a', content: 'abc', claimed: { crc: 1 } }])), /^a: .*CRC/));

  test('encrypted', () =>
    refused(
      extract(
        'zip',
        createZip([
          { name: 'a', content: 'a'.repeat(13), encrypted: true, claimed: { uncompressedSize: 1 } },
        ]),
      ),
      /encrypted/,
    ));

  test('a compression method that is not deflate', () =>
    refused(
      extract('zip', createZip([{ name: 'a', content: 'abc', method: 93 }])),
      /compression method: 93/,
    ));

  test('broken deflate data', () =>
    refused(extract('zip', createZip([{ name: 'a', content: 'abcdef', method: 8 }])), /^a: /));

  test('truncated', () => refused(extract('zip', createZip(ZIP).subarray(0, -30)), /truncated/));
  test('not a zip', () => refused(extract('zip', Buffer.from('GIF89a')), /not a zip/));
  test('no files', () => refused(extract('zip', createZip([])), /no files/));

  test('a zip64 record said to be at 2^64 - 1, which crashed the process', () => {
    const zip = createZip(ZIP);
    const hostile = [zip.subarray(0, -22), createZip64Locator(2n ** 64n - 1n), zip.subarray(-22)];
    return refused(extract('zip', Buffer.concat(hostile)), /beyond its end/);
  });

  test('an archive that is not there is not a malformed one', () =>
    assert.rejects(extract('zip'), { code: 'ENOENT' }));
});

describe('tar', () => {
  test('extracts files and folders', async () => {
    await writeTar(tarPath(), [
      [{ name: './', type: 'directory' }, ''],
      [{ name: './model/', type: 'directory' }, ''],
      [{ name: './model/a.safetensors' }, 'weights'],
      [{ name: `${'long/'.repeat(30)}b` }, 'x'.repeat(200_000)],
      [{ name: '.DS_Store' }, 'litter'],
    ]);
    const files = await extract('tar');
    assert.deepEqual(files, ['model/a.safetensors', `${'long/'.repeat(30)}b`]);
    assert.equal(await content('model/a.safetensors'), 'weights');
    assert.equal(await content(files[1]), 'x'.repeat(200_000));
  });

  for (const name of ['../evil', '/etc/evil', 'a/../../evil']) {
    test(`tar slip: ${name}`, async () => {
      await writeTar(tarPath(), [[{ name }, 'x']]);
      await refused(extract('tar'), /path|climbs/);
      assert.deepEqual(await readdir(destination), []);
    });
  }

  for (const type of ['symlink', 'link', 'character-device', 'fifo'] as const) {
    test(type, async () => {
      await writeTar(tarPath(), [[{ name: 'a', type, linkname: '/etc/passwd' }, '']]);
      await refused(extract('tar'), new RegExp(`"a" is a ${type}`));
    });
  }

  test('the same name twice', async () => {
    await writeTar(tarPath(), [
      [{ name: 'a' }, '1'],
      [{ name: 'a' }, '2'],
    ]);
    await refused(extract('tar'), /twice/);
  });

  test('more bytes than the limit', async () => {
    await writeTar(tarPath(), [
      [{ name: 'a' }, 'x'.repeat(600_000)],
      [{ name: 'b' }, 'x'.repeat(600_000)],
    ]);
    await refused(extract('tar'), /more than 1000000 bytes/, 'payload_too_large');
  });

  test('more entries than the limit', async () => {
    await writeTar(
      tarPath(),
      Array.from({ length: 11 }, (_, i) => [{ name: `${i}` }, '']),
    );
    await refused(extract('tar'), /more than 10 entries/, 'payload_too_large');
  });

  for (const length of [100_000, 700, 300]) {
    test(`truncated after ${length} bytes`, async () => {
      await writeTar(tarPath(), [[{ name: 'a' }, 'x'.repeat(200_000)]]);
      await refused(extract('tar', (await readFile(tarPath())).subarray(0, length)), /end of data/);
    });
  }

  test('not a tar', () => refused(extract('tar', Buffer.alloc(1024, 'GIF89a')), /tar header/));
  test('no files', () => refused(extract('tar', Buffer.alloc(1024)), /no files/));
  test('an archive that is not there is not a malformed one', () =>
    assert.rejects(extract('tar'), { code: 'ENOENT' }));
});
