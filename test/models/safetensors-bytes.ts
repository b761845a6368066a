/** A safetensors file of float32 tensors by the specification; their values are 1, 2, 3, ... in order. */
export function createSafetensors(shapes: Readonly<Record<string, readonly number[]>>): Buffer {
  const header: Record<string, object> = {};
  const values: number[] = [];
  for (const [name, shape] of Object.entries(shapes)) {
    const start = values.length * 4;
    const count = shape.reduce((product, size) => product * size, 1);
    for (let i = 0; i < count; i++) values.push(values.length + 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [start, values.length * 4] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(text.byteLength / 8) * 8, ' ');
  text.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.byteLength));
  return Buffer.concat([length, padded, Buffer.from(new Float32Array(values).buffer)]);
}
