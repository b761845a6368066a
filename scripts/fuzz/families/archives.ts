import { buffer } from 'node:stream/consumers';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import tar from 'tar-stream';
import { createZip } from '../../../test/formats/archive-bytes.ts';
import { type Attack, attack, postModel, postParts } from '../attack.ts';
import { chain } from './onnx-graphs.ts';
import { logarithmic, names, product } from './sizes.ts';

/** An entry is a hundred and some bytes in a zip, a thousand in a tar. */
const entries = logarithmic(1e2, 2e4);
const unfolded = logarithmic(1e6, 3e8);

const SMALL_MODEL = chain(1);

/** Every entry of the directory is the same stretch of the file, which unfolds to `byteLength` zeros. */
export function overlappingZip(count: number, byteLength: number): Buffer {
  const zeros = Buffer.alloc(byteLength);
  const packed = deflateRawSync(zeros);
  const one = (name: string) => {
    const fields = Buffer.alloc(22);
    fields.writeUInt16LE(8, 2);
    fields.writeUInt32LE(crc32(zeros), 8);
    fields.writeUInt32LE(packed.length, 12);
    fields.writeUInt32LE(byteLength, 16);
    fields.writeUInt16LE(name.length, 20);
    return fields;
  };
  const all = names(count, 8).map((name) => `${name}.bin`);
  const first = all[0] ?? '';
  const version = Buffer.from('\x2d\0', 'latin1');
  const local = Buffer.concat([
    ...[Buffer.from('PK\x03\x04'), version, one(first), Buffer.alloc(2), Buffer.from(first), packed],
  ]);
  const directory = Buffer.concat(
    all.flatMap((name) => [
      ...[Buffer.from('PK\x01\x02'), version, version, one(name), Buffer.alloc(2), Buffer.alloc(14)],
      Buffer.from(name),
    ]),
  );
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, directory, end]);
}

/** A model and many files of one byte, as a zip. */
export function manyFiles(count: number, length = 8): Buffer {
  const others = names(count, length).map((name) => ({ name: `${name}.bin`, content: 'x' }));
  return createZip([{ name: 'model.onnx', content: SMALL_MODEL }, ...others]);
}

/** A file of zeros, packed. */
function bomb(byteLength: number): Buffer {
  return createZip([{ name: 'model.onnx', content: Buffer.alloc(byteLength), deflate: true }]);
}

/** One path of folders in folders. */
function deepFolder(depth: number): Buffer {
  return createZip([{ name: `${'a/'.repeat(Math.min(depth, 30_000))}model.onnx`, content: 'x' }]);
}

async function tarOf(count: number, length: number): Promise<Buffer> {
  const pack = tar.pack();
  for (const name of names(count, length)) pack.entry({ name: `${name}.bin` }, 'x');
  pack.finalize();
  return buffer(pack);
}

/** A `.npz` of many arrays. */
function manyArrays(count: number, length: number): Attack {
  const content = createZip(names(count, length).map((name) => ({ name: `${name}.npy`, content: 'x' })));
  const upload = postParts('/v1/datasets', [{ name: 'scores', filename: 'scores.npz', content }]);
  return attack(`npz of ${count} arrays, names of ${length}`, upload);
}

const upload = (name: string, filename: string, content: Buffer) =>
  attack(name, postModel(filename, content));

/** Archives of many files, of files that unfold, of files that are the same bytes. */
export const archives: fc.Arbitrary<Attack | Promise<Attack>> = fc.oneof(
  entries.map((count) => upload(`zip of ${count} files`, 'model.zip', manyFiles(count))),
  fc
    .tuple(logarithmic(10, 1e4), unfolded)
    .map(([count, byteLength]) =>
      upload(
        `zip of ${count} overlapping files of ${byteLength} bytes`,
        'model.zip',
        overlappingZip(count, byteLength),
      ),
    ),
  unfolded.map((byteLength) => upload(`zip that unfolds to ${byteLength}`, 'model.zip', bomb(byteLength))),
  entries.map((depth) => upload(`zip of ${depth} folders in each other`, 'model.zip', deepFolder(depth))),
  product.map(({ count, length }) => manyArrays(Math.min(count, 20_000), Math.min(length, 60_000))),
  logarithmic(1e2, 3e3).map(async (count) =>
    upload(`tar of ${count} files`, 'model.tar', await tarOf(count, 8)),
  ),
  logarithmic(1e2, 1e6).map(async (length) =>
    upload(`tar with a name of ${length}`, 'model.tar', await tarOf(1, length)),
  ),
  logarithmic(1e2, 1e4).map(async (count) =>
    upload(`tar.gz of ${count} files`, 'model.tar.gz', gzipSync(await tarOf(count, 8))),
  ),
);
