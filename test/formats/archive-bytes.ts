import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import tar from 'tar-stream';

export interface ZipEntry {
  readonly name: string;
  readonly content: Uint8Array | string;
  readonly deflate?: boolean;
  /** Unix mode in the external attributes, type bits included. */
  readonly mode?: number;
  readonly encrypted?: boolean;
  readonly method?: number;
  /** What the headers claim, where it differs from the truth. */
  readonly claimed?: {
    readonly uncompressedSize?: number;
    readonly crc?: number;
    /** In the entry's own header, of the same length. */
    readonly name?: string;
  };
}

/** A zip file by the specification (APPNOTE 6.3), with lies where asked; `zip64` puts sizes and offsets in the extra fields. */
export function createZip(entries: readonly ZipEntry[], { zip64 = false } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const localName = Buffer.from(entry.claimed?.name ?? entry.name);
    const content = Buffer.from(entry.content);
    const data = entry.deflate ? deflateRawSync(content) : content;
    const size = entry.claimed?.uncompressedSize ?? content.length;
    const fields = Buffer.alloc(22);
    fields.writeUInt16LE((entry.encrypted ? 1 : 0) | 0x800, 0);
    fields.writeUInt16LE(entry.method ?? (entry.deflate ? 8 : 0), 2);
    fields.writeUInt32LE(entry.claimed?.crc ?? crc32(content), 8);
    fields.writeUInt32LE(zip64 ? 0xffffffff : data.length, 12);
    fields.writeUInt32LE(zip64 ? 0xffffffff : size, 16);
    fields.writeUInt16LE(name.length, 20);
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(size), 4);
      extra.writeBigUInt64LE(BigInt(data.length), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    const extraLength = Buffer.alloc(2);
    extraLength.writeUInt16LE(extra.length);
    const local = Buffer.concat([
      Buffer.from('PK\x03\x04\x2d\0', 'latin1'),
      fields,
      extraLength,
      localName,
      extra,
      data,
    ]);
    parts.push(local);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6);
    tail.writeUInt32LE(zip64 ? 0xffffffff : offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x2d\x03\x2d\0', 'latin1'), fields, extraLength, tail, name, extra);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(zip64 ? 0xffff : entries.length, 8);
  end.writeUInt16LE(zip64 ? 0xffff : entries.length, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : central.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  if (!zip64) return Buffer.concat([...parts, central, end]);
  const record = Buffer.alloc(56);
  record.write('PK\x06\x06', 'latin1');
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(entries.length), 24);
  record.writeBigUInt64LE(BigInt(entries.length), 32);
  record.writeBigUInt64LE(BigInt(central.length), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  return Buffer.concat([...parts, central, record, createZip64Locator(BigInt(offset + central.length)), end]);
}

/** A zip whose directory lists the one entry there is under many names. */
export function createOverlaps(entry: ZipEntry, names: readonly string[]): Buffer {
  const zip = createZip([entry]);
  const end = Buffer.from(zip.subarray(-22));
  const start = end.readUInt32LE(16);
  const records = names.map((name) => {
    const record = Buffer.concat([zip.subarray(start, start + 46), Buffer.from(name)]);
    record.writeUInt16LE(record.length - 46, 28);
    return record;
  });
  const directory = Buffer.concat(records);
  end.writeUInt16LE(names.length, 8);
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(directory.length, 12);
  return Buffer.concat([zip.subarray(0, start), directory, end]);
}

export function createZip64Locator(recordOffset: bigint): Buffer {
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(recordOffset, 8);
  locator.writeUInt32LE(1, 16);
  return locator;
}

type TarHeader = Parameters<ReturnType<typeof tar.pack>['entry']>[0];

export async function writeTar(
  path: string,
  entries: readonly (readonly [TarHeader, string | Uint8Array])[],
): Promise<void> {
  const pack = tar.pack();
  for (const [header, content] of entries)
    pack.entry(header, typeof content === 'string' ? content : Buffer.from(content));
  pack.finalize();
  await pipeline(pack, createWriteStream(path));
}

/** A block of a tar file for what `tar-stream` does not write, content included. */
export function createTarBlocks(type: string, content: Uint8Array): Buffer {
  const header = Buffer.alloc(512);
  header.write('name');
  header.write(`${content.length.toString(8).padStart(11, '0')} `, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
