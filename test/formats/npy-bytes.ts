/** A `.npy` file by the specification: the dict as it is, padded to a multiple of 64 as NumPy does, and the data. */
export function createNpy(dict: string, data: Uint8Array, version = 1): Buffer {
  const start = version === 1 ? 10 : 12;
  const text = Buffer.from(dict, version === 3 ? 'utf8' : 'latin1');
  const headerEnd = Math.ceil((start + text.length + 1) / 64) * 64;
  const file = Buffer.alloc(headerEnd + data.byteLength, ' ');
  file.write('\x93NUMPY', 'latin1');
  file.writeUInt16LE(version, 6);
  if (version === 1) file.writeUInt16LE(headerEnd - start, 8);
  else file.writeUInt32LE(headerEnd - start, 8);
  file.set(text, start);
  file.write('\n', headerEnd - 1);
  file.set(data, headerEnd);
  return file;
}

export function createFloatNpy(values: readonly number[], shape = `(${values.length},)`): Buffer {
  const data = new Uint8Array(new Float32Array(values).buffer);
  return createNpy(`{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`, data);
}

/** The numbers of a typed array under NumPy's name of their type. */
export function createNpyOf(descr: string, numbers: ArrayBufferView, shape: readonly number[]): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const data = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return createNpy(`{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`, data);
}
