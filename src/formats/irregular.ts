import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { zeroDropped } from '../core/keep-mask.ts';
import { openFileSource } from './file-source.ts';
import type { ByteRange, TensorData } from './model.ts';
import { decodeVarints, zeroVarints } from './onnx/varint-floats.ts';
import { elementsOfVarints, overwriteVarints } from './onnx/varint-integers.ts';

/**
 * Tensors that are not one dense stretch of a file: 16-bit floats kept as varints, or a protobuf field cut into pieces. They are rare and small, and
 * are read and edited as a whole.
 */
export async function readIrregular(directory: string, data: TensorData, n: number): Promise<Uint8Array> {
  const bytes = await readRuns(directory, data);
  return data.encoding === 'dense' ? bytes : new Uint8Array(decodeVarints(bytes, n).buffer);
}

/** The bytes of all elements of `byteWidth` bytes, at most 4, however they are kept; of smaller ones those that hold them. */
export async function readElements(
  directory: string,
  data: TensorData,
  byteWidth: number,
): Promise<Uint8Array> {
  const bytes = await readRuns(directory, data);
  return data.encoding === 'dense' ? bytes : elementsOfVarints(bytes, byteWidth);
}

/** Writes what `readElements` has read and who called it has changed. Throws RangeError where a varint would have to be longer. */
export async function writeElements(
  directory: string,
  data: TensorData,
  elements: Uint8Array,
  byteWidth: number,
): Promise<void> {
  if (data.encoding === 'dense') return await writeRuns(directory, data.runs, elements);
  const bytes = await readRuns(directory, data);
  overwriteVarints(bytes, elements, byteWidth);
  await writeRuns(directory, data.runs, bytes);
}

/** Zeroes, in the files below `directory`, the elements whose bit in `keepMask` is 0. */
export async function zeroIrregular(
  directory: string,
  data: TensorData,
  keepMask: Uint8Array,
  byteWidth: 2 | 4 | 8,
): Promise<void> {
  const bytes = await readRuns(directory, data);
  if (data.encoding === 'varint') zeroVarints(bytes, keepMask);
  else zeroDropped(bytes, byteWidth, keepMask);
  await writeRuns(directory, data.runs, bytes);
}

/** Writes `bytes`, as many as the runs are long together, over what the files below `directory` have there. */
export async function writeRuns(
  directory: string,
  runs: readonly ByteRange[],
  bytes: Uint8Array,
): Promise<void> {
  let done = 0;
  for (const { file, offset, byteLength } of runs) {
    await using handle = await open(join(directory, file), 'r+');
    await handle.write(bytes, done, byteLength, offset);
    done += byteLength;
  }
}

async function readRuns(directory: string, { runs }: TensorData): Promise<Uint8Array> {
  const bytes = new Uint8Array(runs.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let done = 0;
  for (const { file, offset, byteLength } of runs) {
    await using source = await openFileSource(join(directory, file));
    bytes.set(await source.read(offset, offset + byteLength), done);
    done += byteLength;
  }
  return bytes;
}
