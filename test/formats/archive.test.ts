import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { EmpError, type ErrorCode } from '../../src/core/errors.ts';
import { type ArchiveKind, openArchive } from '../../src/formats/archive.ts';
import {
  createOverlaps,
  createTarBlocks,
  createZip,
  createZip64Locator,
  writeTar,
  type ZipEntry,
} from './archive-bytes.ts';

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
  await using archive = await openArchive(path, kind, limits);
  for (const { name, open } of archive.entries) {
    await mkdir(dirname(join(destination, name)), { recursive: true });
    await writeFile(join(destination, name), open(), { flag: 'wx' });
  }
  return archive.entries.map(({ name }) => name);
}

/** Of what was refused before anything was unpacked. */
async function refusedUnread(...refusal: Parameters<typeof refused>) {
  await refused(...refusal);
  assert.deepEqual(await readdir(destination), []);
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
    await refusedUnread(extract('zip', bomb), /more than 1000000 bytes/, 'payload_too_large');
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
    return refusedUnread(extract('zip', createZip(entries)), /more than 1000000 bytes/, 'payload_too_large');
  });

  for (const count of [2, 10]) {
    test(`${count} entries of the same bytes`, () => {
      const names = Array.from({ length: count }, (_, i) => `${i}`);
      const zip = createOverlaps({ name: '0', content: Buffer.alloc(1000), deflate: true }, names);
      return refusedUnread(extract('zip', zip), /^"\d" overlaps "\d"/);
    });
  }

  test('an entry whose content holds the next one', () => {
    const inner = createZip([{ name: 'b', content: 'x'.repeat(100) }]);
    const zip = createZip([
      { name: 'a', content: inner },
      { name: 'b', content: 'x'.repeat(100) },
    ]);
    // The directory says of the second that it begins within the first.
    const offset = zip.length - 22 - 4 - 1;
    zip.writeUInt32LE(30 + 1, offset);
    return refusedUnread(extract('zip', zip), /^"a" overlaps "b"/);
  });

  test("an entry's own header that leaves its content in the next one", async () => {
    const zip = createZip([
      { name: 'a', content: 'abc' },
      { name: 'b', content: 'def' },
    ]);
    zip.writeUInt16LE(20, 28);
    await refused(extract('zip', zip), /^a: its content overlaps another entry/);
  });

  test("an entry's own header that has another name", () =>
    refused(
      extract('zip', createZip([{ name: 'a', content: 'x', claimed: { name: 'b' } }])),
      /^a: .*disagree/,
    ));

  for (const [what, size, isRefused] of [
    ['much that unfolds', 300 * 2 ** 20, true],
    ['little that unfolds', 200 * 2 ** 20, false],
  ] as const) {
    test(`${what} from a thousandth of it is ${isRefused ? 'refused' : 'read'}`, async () => {
      const entry = {
        name: 'a',
        content: Buffer.alloc(1000),
        deflate: true,
        claimed: { uncompressedSize: size },
      };
      const limits = { ...LIMITS, maxBytes: 2 ** 40 };
      const extraction = extract('zip', createZip([entry]), limits);
      if (isRefused)
        await refusedUnread(
          extraction,
          /unfolds from \d+ to 314572800 bytes, .* 100 times/,
          'payload_too_large',
        );
      else await refused(extraction, /not enough bytes/);
    });
  }

  test('a directory that would fill the memory', async () => {
    const zip = createZip([{ name: 'a', content: '' }]);
    const [local, directory, end] = [
      zip.subarray(0, 31),
      zip.subarray(31, -22),
      Buffer.from(zip.subarray(-22)),
    ];
    const commented = Buffer.concat([directory, Buffer.alloc(65_535)]);
    commented.writeUInt16LE(65_535, 32);
    end.writeUInt16LE(300, 10);
    const limits = { maxBytes: 1000, maxFiles: 1000 };
    const bytes = Buffer.concat([local, ...Array.from({ length: 300 }, () => commented), end]);
    await refusedUnread(extract('zip', bytes, limits), /directory is larger than/, 'payload_too_large');
  });

  test('too many entries', () => {
    const entries = Array.from({ length: 11 }, (_, i) => ({ name: `${i}/`, content: '' }));
    return refusedUnread(extract('zip', createZip(entries)), /more than 10 entries/, 'payload_too_large');
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
      [{ name: `${'longer/'.repeat(6)}${'x'.repeat(200)}` }, 'x'.repeat(200_000)],
      [{ name: '.DS_Store' }, 'litter'],
    ]);
    const files = await extract('tar');
    assert.deepEqual(files, ['model/a.safetensors', `${'longer/'.repeat(6)}${'x'.repeat(200)}`]);
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
      await refusedUnread(extract('tar'), new RegExp(`"a" is a ${type}`));
    });
  }

  test('the same name twice', async () => {
    await writeTar(tarPath(), [
      [{ name: 'a' }, '1'],
      [{ name: 'a' }, '2'],
    ]);
    await refusedUnread(extract('tar'), /twice/);
  });

  test('more bytes than the limit', async () => {
    await writeTar(tarPath(), [
      [{ name: 'a' }, 'x'.repeat(600_000)],
      [{ name: 'b' }, 'x'.repeat(600_000)],
    ]);
    await refusedUnread(extract('tar'), /more than 1000000 bytes/, 'payload_too_large');
  });

  test('more entries than the limit', async () => {
    await writeTar(
      tarPath(),
      Array.from({ length: 11 }, (_, i) => [{ name: `${i}` }, '']),
    );
    await refusedUnread(extract('tar'), /more than 10 entries/, 'payload_too_large');
  });

  for (const length of [100_000, 700, 300]) {
    test(`truncated after ${length} bytes`, async () => {
      await writeTar(tarPath(), [[{ name: 'a' }, 'x'.repeat(200_000)]]);
      await refusedUnread(extract('tar', (await readFile(tarPath())).subarray(0, length)), /end of data/);
    });
  }

  test('of a client that has gone is not listed', async () => {
    await writeTar(tarPath(), [[{ name: 'a' }, 'x']]);
    const gone = AbortSignal.abort(new EmpError('not_ready', 'the client has gone'));
    await refused(openArchive(tarPath(), 'tar', LIMITS, gone), /has gone/, 'not_ready');
  });

  test('a bad entry behind good ones: nothing of them is unpacked', async () => {
    await writeTar(tarPath(), [
      [{ name: 'a' }, 'x'.repeat(100_000)],
      [{ name: '../b' }, 'x'],
    ]);
    await refusedUnread(extract('tar'), /climbs/);
  });

  const attributes = (byteLength: number) => {
    const records = Array.from(
      { length: byteLength / 10 },
      (_, i) => `10 ${i.toString(36).padStart(5, '0')}=\n`,
    );
    return Buffer.from(records.join(''));
  };

  for (const [what, head] of [
    ['attributes of all entries', createTarBlocks('g', attributes(4 * 2 ** 20))],
    ['attributes of one entry', createTarBlocks('x', attributes(60_000))],
    ['a long name', createTarBlocks('L', Buffer.alloc(2 ** 20, 'x'))],
  ] as const) {
    test(`${what} that take more than a header may`, () =>
      refusedUnread(
        extract('tar', Buffer.concat([head, createTarBlocks('0', Buffer.from('x'))])),
        /headers of entry 0 take more/,
      ));
  }

  test('attributes of all entries, copied to each of thousands of headers, which took hours', async () => {
    const one = createTarBlocks('x', Buffer.from('7 a=b\n'));
    const many = Array.from({ length: 10_000 }, () => one);
    const bytes = Buffer.concat([
      createTarBlocks('g', attributes(30_000)),
      ...many,
      createTarBlocks('0', Buffer.from('x')),
    ]);
    await refusedUnread(extract('tar', bytes), /headers of entry 0 take more/);
  });

  test('a name of thousands of characters', () => {
    const bytes = [createTarBlocks('L', Buffer.alloc(5000, 'x')), createTarBlocks('0', Buffer.from('x'))];
    return refusedUnread(extract('tar', Buffer.concat(bytes)), /^"x{255}" is a name of more than 4096/);
  });

  test('folders count, so that a few files do not make thousands', async () => {
    const deep = (i: number) => `${i}/${'a/'.repeat(5)}b`;
    await writeTar(tarPath(), [
      [{ name: deep(0) }, ''],
      [{ name: deep(1) }, ''],
    ]);
    await refusedUnread(extract('tar'), /more than 10 entries/, 'payload_too_large');
    await writeTar(tarPath(), [[{ name: `${'a/'.repeat(64)}b` }, '']]);
    await refusedUnread(extract('tar'), /too long a path/);
  });

  test('not a tar', () => refused(extract('tar', Buffer.alloc(1024, 'GIF89a')), /tar header/));
  test('no files', () => refused(extract('tar', Buffer.alloc(1024)), /no files/));
  test('an archive that is not there is not a malformed one', () =>
    assert.rejects(extract('tar'), { code: 'ENOENT' }));
});
