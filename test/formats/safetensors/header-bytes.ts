/** A safetensors file by hand: the header's text as it is, and as many zero bytes of data. */
export function createFile(
  header: string | Uint8Array,
  dataByteLength = 0,
  claimedLength?: bigint,
): Uint8Array {
  const json = Buffer.from(header);
  const file = Buffer.alloc(8 + json.length + dataByteLength);
  file.writeBigUInt64LE(claimedLength ?? BigInt(json.length));
  file.set(json, 8);
  return file;
}

export function createFileOf(tensors: Record<string, unknown>, dataByteLength = 0): Uint8Array {
  return createFile(JSON.stringify(tensors), dataByteLength);
}

/** A valid file of zeros: float32 tensors of these shapes, one after the other. */
export function createFloatFile(shapes: Readonly<Record<string, readonly number[]>>): Uint8Array {
  let end = 0;
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const start = end;
    end += shape.reduce((product, dimension) => product * dimension, 4);
    return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
  });
  return createFileOf(Object.fromEntries(entries), end);
}
