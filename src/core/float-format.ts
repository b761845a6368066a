import { BYTE_WIDTH, type FloatDtype } from './dtype.ts';

/** Widens the little-endian numbers at the start of `bytes` to `target`, exactly. The machine is little-endian too. */
export function widen(bytes: Uint8Array, dtype: FloatDtype, target: Float64Array): void {
  const { buffer, byteOffset } = bytes.byteOffset % BYTE_WIDTH[dtype] === 0 ? bytes : bytes.slice();
  if (dtype === 'bfloat16') widenBfloat16(new Uint16Array(buffer, byteOffset, target.length), target);
  else target.set(new ARRAYS[dtype](buffer as ArrayBuffer, byteOffset, target.length));
}

/** Of the formats that JavaScript has arrays for. */
const ARRAYS = { float16: Float16Array, float32: Float32Array, float64: Float64Array } as const;

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
  if (dtype === 'float64') return new Uint8Array(bounded.buffer);
  const narrowed = dtype === 'bfloat16' ? narrowBfloat16(bounded) : ARRAYS[dtype].from(bounded);
  return new Uint8Array(narrowed.buffer);
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
