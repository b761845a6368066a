import { copyFile, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BYTE_WIDTH, isFloatDtype } from '../../core/dtype.ts';
import { zeroDropped } from '../../core/keep-mask.ts';
import { openFileSource } from '../../formats/file-source.ts';
import { zeroIrregular } from '../../formats/irregular.ts';
import { denseRange, type ModelTensor, weightCount } from '../../formats/model.ts';
import { isQuantized, zeroQuantized } from '../../formats/quantized-weights.ts';
import type { StoredModel } from '../../formats/stored-model.ts';

/** Weights at a time, a multiple of 8: a byte of a mask is of one chunk. */
const CHUNK_WEIGHTS = 2 ** 18;

/** A tensor and where its packed keep mask is. */
export interface PlacedMask {
  readonly tensor: ModelTensor;
  readonly offset: number;
  readonly byteLength: number;
}

/** Writes a model's files to a folder with the weights zeroed that masks of a file drop. */
export async function applyMasks(
  model: StoredModel,
  masks: readonly PlacedMask[],
  masksPath: string,
  directory: string,
): Promise<StoredModel> {
  for (const file of model.inventory.files) {
    await mkdir(dirname(join(directory, file)), { recursive: true });
    await copyFile(join(model.directory, file), join(directory, file));
  }
  await using source = await openFileSource(masksPath);
  for (const { tensor, offset, byteLength } of masks) {
    const read = (start: number, end: number) => source.read(offset + start, offset + end);
    const { data, dtype } = tensor;
    if (isQuantized(tensor)) await zeroQuantized(directory, tensor, { read });
    else if (data !== null && isFloatDtype(dtype)) {
      const width = BYTE_WIDTH[dtype];
      if (denseRange(data)) await zeroDense(directory, tensor, width, read);
      else await zeroIrregular(directory, data, await read(0, byteLength), width);
    }
  }
  return { directory, inventory: model.inventory };
}

async function zeroDense(
  directory: string,
  tensor: ModelTensor,
  width: 2 | 4 | 8,
  readMask: (start: number, end: number) => Promise<Uint8Array>,
): Promise<void> {
  const range = denseRange(tensor.data);
  if (range === null) return;
  await using handle = await open(join(directory, range.file), 'r+');
  const n = weightCount(tensor);
  const buffer = new Uint8Array(Math.min(CHUNK_WEIGHTS, n) * width);
  for (let start = 0; start < n; start += CHUNK_WEIGHTS) {
    const count = Math.min(CHUNK_WEIGHTS, n - start);
    const weights = buffer.subarray(0, count * width);
    const at = range.offset + start * width;
    await handle.read(weights, 0, weights.byteLength, at);
    zeroDropped(weights, width, await readMask(start / 8, Math.ceil((start + count) / 8)));
    await handle.write(weights, 0, weights.byteLength, at);
  }
}
