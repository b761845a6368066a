import { EmpError } from '../core/errors.ts';
import { openFileSource } from './file-source.ts';
import { readNpyHeader } from './npy.ts';
import { readSafetensorsHeader, type SafetensorsTensor } from './safetensors/header.ts';

/** One uploaded array of scores: dense little-endian numbers in a stretch of a file. */
export interface ScoreArray extends Pick<SafetensorsTensor, 'name' | 'shape' | 'dtype'> {
  readonly range: { readonly path: string; readonly offset: number; readonly byteLength: number };
}

/** The files scores were uploaded as: one safetensors file, or `.npy` files by the name of their array (an extracted `.npz`). */
export type ScoreFiles =
  | { readonly format: 'safetensors'; readonly path: string }
  | { readonly format: 'npy'; readonly paths: ReadonlyMap<string, string> };

/**
 * What the arrays are and where their numbers lie, in the order of the file or of `paths`. Reads headers only; the numbers are checked
 * where they are used.
 * @throws EmpError malformed_safetensors, malformed_npy, unsupported_dtype
 */
export async function readScoreArrays(files: ScoreFiles): Promise<ScoreArray[]> {
  if (files.format === 'safetensors') {
    const { path } = files;
    await using source = await openFileSource(path);
    const { tensors } = await readSafetensorsHeader(source);
    return tensors.map(({ name, shape, dtype, offset, byteLength }) => {
      return { name, shape, dtype, range: { path, offset, byteLength } };
    });
  }
  const arrays: ScoreArray[] = [];
  for (const [name, path] of files.paths) arrays.push(await readNpyArray(name, path));
  return arrays;
}

export function scoresByName(arrays: readonly ScoreArray[]): ReadonlyMap<string, ScoreArray> {
  return new Map(arrays.map((array) => [array.name, array]));
}

async function readNpyArray(name: string, path: string): Promise<ScoreArray> {
  await using source = await openFileSource(path);
  try {
    const { shape, dtype, dataOffset, byteLength } = await readNpyHeader(source);
    return { name, shape, dtype, range: { path, offset: dataOffset, byteLength } };
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    throw new EmpError(error.code, `array ${JSON.stringify(name)}: ${error.message}`, [
      { path: name, message: error.message },
    ]);
  }
}
