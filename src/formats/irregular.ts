import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { zeroDropped } from '../core/keep-mask.ts';
import type { TensorData } from './model.ts';
import { decodeVarints, zeroVarints } from './onnx/edit.ts';

/**
 * Tensors that are not one dense stretch of a file: 16-bit floats kept as varints, or a protobuf field cut into pieces. They are rare and small, and
 * are read and edited as a whole.
 */
export async function readIrregular(directory: string, data: TensorData, n: number): Promise<Uint8Array> {
  const bytes = await readRuns(directory, data);
  return data.encoding === 'dense' ? bytes : new Uint8Array(decodeVarints(bytes, n).buffer);
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
  let offset = 0;
  await eachRun(directory, data, 'r+', async (handle, run) => {
    await handle.write(bytes, offset, run.byteLength, run.offset);
    offset += run.byteLength;
  });
}

async function readRuns(directory: string, data: TensorData): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(data.runs.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  await eachRun(directory, data, 'r', async (handle, run) => {
    await handle.read(bytes, offset, run.byteLength, run.offset);
    offset += run.byteLength;
  });
  return bytes;
}

async function eachRun(
  directory: string,
  { runs }: TensorData,
  flags: 'r' | 'r+',
  visit: (handle: FileHandle, run: TensorData['runs'][number]) => Promise<void>,
): Promise<void> {
  for (const run of runs) {
    await using handle = await open(join(directory, run.file), flags);
    await visit(handle, run);
  }
}
