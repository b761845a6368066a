import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { SizeTargetName } from '../recipe/size-targets.ts';
import { compressedSize } from '../report/compressed-size.ts';
import { countMacs } from '../runtime/count-macs.ts';
import type { RuntimeSettings } from '../runtime/session.ts';

interface SizeContext {
  /** That multiply-accumulates are counted for; null for the declared shapes. */
  readonly samples: SampleSet | null;
  readonly runtime: RuntimeSettings;
  readonly signal: AbortSignal;
}

/**
 * How large a stored model is, in the unit of a target. Zeros count as what they are stored as.
 * @throws EmpError `invalid_request` where multiply-accumulates cannot be counted
 */
export async function sizeOfModel(
  name: SizeTargetName,
  model: StoredModel,
  { samples, runtime, signal }: SizeContext,
): Promise<number> {
  switch (name) {
    case 'max_parameters':
      return model.inventory.nParameters;
    case 'max_bytes':
      return await bytesOf(model);
    case 'max_compressed_bytes':
      return (await compressedSizeOf(model, signal)).bytes;
    case 'max_macs': {
      const { total, reason } = await countMacs({ model, runtime, signal }, samples);
      if (total !== null) return total;
      const message = `needs multiply-accumulates that can be counted: ${reason}`;
      throw new EmpError('invalid_request', `max_macs ${message}`, [
        { path: '/recipe/target/max_macs', message },
      ]);
    }
  }
}

/** Of all files. */
export async function bytesOf({ directory, inventory: { files } }: StoredModel): Promise<number> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(directory, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Of all files, compressed by zstd one by one. */
export async function compressedSizeOf({ directory, inventory }: StoredModel, signal: AbortSignal) {
  const total = { bytes: 0, estimated: false };
  for (const file of inventory.files) {
    const { bytes, estimated } = await compressedSize(join(directory, file), signal);
    total.bytes += bytes;
    total.estimated ||= estimated;
  }
  return total;
}
