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

/** The largest finite number of each format. */
const LARGEST: Readonly<Record<FloatDtype, number>> = {
  float16: 65504,
  bfloat16: 2 ** 128 - 2 ** 120,
  float32: 2 ** 128 - 2 ** 104,
  float64: Number.MAX_VALUE,
};

/** The numbers as little-endian `dtype`, each the nearest that there is, to even at ties; beyond the largest finite one it is that one. */
export function narrow(values: Float64Array, dtype: FloatDtype): Uint8Array<ArrayBuffer> {
  const largest = LARGEST[dtype];
  const bounded = values.map((value) => Math.max(-largest, Math.min(largest, value)));
  switch (dtype) {
    case 'float64':
      return new Uint8Array(bounded.buffer);
    case 'float32':
      return new Uint8Array(Float32Array.from(bounded).buffer);
    case 'float16':
      return new Uint8Array(Float16Array.from(bounded).buffer);
    case 'bfloat16':
      return new Uint8Array(narrowBfloat16(bounded).buffer);
  }
}

/** Of a float64 in one step: rounded to float32 first, it could come to lie on a tie. */
function narrowBfloat16(values: Float64Array): Uint16Array<ArrayBuffer> {
  const narrowed = new Uint16Array(values.length);
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  for (const [i, value] of values.entries()) {
    float[0] = value;
    const tied = (bits[0] & 0xffff) === 0x8000;
    const above = Math.abs(value) - Math.abs(float[0]);
    const isUp = tied && above !== 0 ? above > 0 : (bits[0] & 0xffff) + ((bits[0] >>> 16) & 1) > 0x8000;
    narrowed[i] = (bits[0] >>> 16) + Number(isUp);
  }
  return narrowed;
}
