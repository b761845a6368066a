import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFileSource } from '../../src/formats/file-source.ts';
import { readNpyHeader } from '../../src/formats/npy.ts';
import type { ArrayFile, SampleSet } from '../../src/formats/sample-set.ts';
import { sharedFixtures } from '../shared.ts';

/** The array in a `.npy` file. */
export async function npyArray(name: string, path: string): Promise<ArrayFile> {
  await using source = await openFileSource(path);
  const { dtype, shape, dataOffset } = await readNpyHeader(source);
  return { name, dtype, shape, path, offset: dataOffset };
}

/** The evaluation or calibration data of a fixture (`shared/fixtures/<folder>`); throws where the fixtures are absent. */
export async function fixtureSamples(folder: string, split: 'eval' | 'calibration'): Promise<SampleSet> {
  const fixtures = sharedFixtures();
  if (fixtures === null) throw new Error('the fixtures are absent');
  const name = folder === 'llama-tiny' ? 'input_ids' : 'input';
  const inputs = await npyArray(name, join(fixtures, folder, `${split}_inputs.npy`));
  const labels = await npyArray('labels', join(fixtures, folder, `${split}_labels.npy`));
  return { nSamples: inputs.shape[0], inputs: [inputs], labels };
}

/** Writes the numbers after `offset` other bytes and says where they are. */
export async function writeArray(
  directory: string,
  name: string,
  dtype: string,
  shape: readonly number[],
  numbers: ArrayBufferView,
  offset = 0,
): Promise<ArrayFile> {
  const path = join(directory, `${name}.bin`);
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  await writeFile(path, Buffer.concat([new Uint8Array(offset).fill(255), bytes]));
  return { name, dtype, shape, path, offset };
}
