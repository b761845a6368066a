import { BYTE_WIDTH, type FloatDtype } from './dtype.ts';

/** Widens the little-endian numbers at the start of `bytes` to `target`, exactly. The machine is little-endian too. */
export function widen(bytes: Uint8Array, dtype: FloatDtype, target: Float64Array): void {
  const { buffer, byteOffset } = bytes.byteOffset % BYTE_WIDTH[dtype] === 0 ? bytes : bytes.slice();
  switch (dtype) {
    case 'float64':
      target.set(new Float64Array(buffer, byteOffset, target.length));
      return;
    case 'float32':
      target.set(new Float32Array(buffer, byteOffset, target.length));
      return;
    case 'float16':
      target.set(new Float16Array(buffer, byteOffset, target.length));
      return;
    case 'bfloat16':
      widenBfloat16(new Uint16Array(buffer, byteOffset, target.length), target);
  }
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(source: Uint16Array, target: Float64Array): void {
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  for (let i = 0; i < source.length; i++) {
    bits[0] = source[i] << 16;
    target[i] = float[0];
  }
}
