import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FloatDtype } from '../../src/core/dtype.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { readSafetensorsHeader } from '../../src/formats/safetensors/header.ts';
import { createSafetensorsLayout } from '../../src/formats/safetensors/write.ts';

export interface SmallTensor {
  readonly name: string;
  readonly dtype: FloatDtype;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** Little-endian bytes of `values`, rounded to `dtype` (bfloat16: truncated). */
export function encode(values: readonly number[], dtype: FloatDtype): Uint8Array {
  switch (dtype) {
    case 'float64':
      return new Uint8Array(new Float64Array(values).buffer);
    case 'float32':
      return new Uint8Array(new Float32Array(values).buffer);
    case 'float16':
      return new Uint8Array(new Float16Array(values).buffer);
    case 'bfloat16': {
      const bits = new Uint32Array(new Float32Array(values).buffer);
      return new Uint8Array(new Uint16Array(Array.from(bits, (b) => b >>> 16)).buffer);
    }
  }
}

export function decode(bytes: Uint8Array, dtype: FloatDtype): number[] {
  const { buffer } = bytes.slice();
  switch (dtype) {
    case 'float64':
      return Array.from(new Float64Array(buffer));
    case 'float32':
      return Array.from(new Float32Array(buffer));
    case 'float16':
      return Array.from(new Float16Array(buffer));
    case 'bfloat16':
      return Array.from(new Float32Array(Uint32Array.from(new Uint16Array(buffer), (b) => b << 16).buffer));
  }
}

/** Writes a safetensors file into a fresh folder that is removed when the value is disposed of. */
export async function writeSmallModel(
  tensors: readonly SmallTensor[],
): Promise<{ directory: string; path: string } & AsyncDisposable> {
  const layout = createSafetensorsLayout(tensors);
  const bytes = new Uint8Array(layout.fileByteLength);
  bytes.set(layout.header);
  tensors.forEach(({ values, dtype }, i) => {
    bytes.set(encode(values, dtype), layout.tensors[i].offset);
  });
  const directory = await mkdtemp(join(tmpdir(), 'emp-model-'));
  const path = join(directory, 'model.safetensors');
  await writeFile(path, bytes);
  return { directory, path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

/** The bytes of every tensor of a safetensors file. */
export async function readTensors(path: string): Promise<Map<string, Uint8Array>> {
  const bytes = new Uint8Array(await readFile(path));
  const { tensors } = await readSafetensorsHeader(bytesSource(bytes));
  return new Map(
    tensors.map(({ name, offset, byteLength }) => [name, bytes.subarray(offset, offset + byteLength)]),
  );
}

/** Keep bits of a packed mask. */
export function unpack(mask: Uint8Array, n: number): boolean[] {
  return Array.from({ length: n }, (_, i) => (mask[i >> 3] & (1 << (i & 7))) !== 0);
}
