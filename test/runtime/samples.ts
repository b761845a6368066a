import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openFileSource } from '../../src/formats/file-source.ts';
import { readNpyHeader } from '../../src/formats/npy.ts';
import { byteWidth } from '../../src/formats/numbers.ts';
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

/** Some of the samples, which lie along axis 0 of inputs of float32 and labels of int64, in files of their own. */
export async function writePart(
  samples: SampleSet,
  places: Uint32Array,
  folder = dirname(samples.inputs[0].path),
): Promise<SampleSet> {
  const directory = await mkdtemp(join(folder, 'part-'));
  const copy = async (array: ArrayFile): Promise<ArrayFile> => {
    const { name, dtype, shape, path, offset } = array;
    const stride = byteWidth(dtype) * shape.slice(1).reduce((product, size) => product * size, 1);
    const all = await readFile(path);
    const rows = Array.from(places, (place) =>
      all.subarray(offset + place * stride, offset + (place + 1) * stride),
    );
    return await writeArray(directory, name, dtype, [places.length, ...shape.slice(1)], Buffer.concat(rows));
  };
  return {
    nSamples: places.length,
    inputs: [await copy(samples.inputs[0])],
    labels: samples.labels && (await copy(samples.labels)),
  };
}
