/** A format that quantized weights are stored in. */
interface IntegerFormat {
  readonly bits: 2 | 4 | 8 | 16 | 32;
  readonly isSigned: boolean;
}

const INTEGERS: Readonly<Record<string, IntegerFormat>> = {
  int2: { bits: 2, isSigned: true },
  uint2: { bits: 2, isSigned: false },
  int4: { bits: 4, isSigned: true },
  uint4: { bits: 4, isSigned: false },
  int8: { bits: 8, isSigned: true },
  uint8: { bits: 8, isSigned: false },
  int16: { bits: 16, isSigned: true },
  uint16: { bits: 16, isSigned: false },
  int32: { bits: 32, isSigned: true },
};

/** A sign, an exponent and a mantissa in a byte. Where there is no negative zero its bits are the only NaN. */
interface FloatFormat {
  readonly mantissaBits: number;
  readonly bias: number;
  readonly hasInfinities: boolean;
  readonly hasNegativeZero: boolean;
}

const FLOATS: Readonly<Record<string, FloatFormat>> = {
  float8_e4m3fn: { mantissaBits: 3, bias: 7, hasInfinities: false, hasNegativeZero: true },
  float8_e4m3fnuz: { mantissaBits: 3, bias: 8, hasInfinities: false, hasNegativeZero: false },
  float8_e5m2: { mantissaBits: 2, bias: 15, hasInfinities: true, hasNegativeZero: true },
  float8_e5m2fnuz: { mantissaBits: 2, bias: 16, hasInfinities: false, hasNegativeZero: false },
};

/** Whether quantized weights are read in such a format. */
export function isQuantizedDtype(dtype: string): boolean {
  return Object.hasOwn(INTEGERS, dtype) || Object.hasOwn(FLOATS, dtype);
}

/** Bits of a number; several of fewer than 8 share a byte, the first in its lowest bits. */
export function quantizedBits(dtype: string): number {
  return INTEGERS[dtype]?.bits ?? 8;
}

/** Bytes of what holds a number. */
export function elementBytes(dtype: string): number {
  return Math.max(1, quantizedBits(dtype) / 8);
}

/** Every number that the bytes hold. */
export function unpackNumbers(bytes: Uint8Array, dtype: string): Float64Array {
  if (Object.hasOwn(FLOATS, dtype)) return Float64Array.from(bytes, (byte) => float8(byte, FLOATS[dtype]));
  const { bits, isSigned } = INTEGERS[dtype];
  if (bits >= 8) return unpackWide(bytes, bits, isSigned);
  const perByte = 8 / bits;
  const numbers = new Float64Array(bytes.byteLength * perByte);
  const shift = 32 - bits;
  for (let i = 0; i < numbers.length; i++) {
    const raw = bytes[Math.floor(i / perByte)] >> (bits * (i % perByte));
    numbers[i] = isSigned ? (raw << shift) >> shift : (raw << shift) >>> shift;
  }
  return numbers;
}

function unpackWide(bytes: Uint8Array, bits: number, isSigned: boolean): Float64Array {
  const { buffer } = bytes.slice();
  if (bits === 8) return Float64Array.from(isSigned ? new Int8Array(buffer) : bytes);
  if (bits === 16) return Float64Array.from(isSigned ? new Int16Array(buffer) : new Uint16Array(buffer));
  return Float64Array.from(new Int32Array(buffer));
}

/** Puts an integer, or of floats the bits of one, in the place of number `index` of those that the bytes hold. */
export function putNumber(bytes: Uint8Array, dtype: string, index: number, value: number): void {
  const bits = quantizedBits(dtype);
  if (bits >= 8) {
    const width = bits / 8;
    for (let byte = 0; byte < width; byte++) bytes[index * width + byte] = value >> (8 * byte);
    return;
  }
  const perByte = 8 / bits;
  const at = Math.floor(index / perByte);
  const shift = bits * (index % perByte);
  const mask = ((1 << bits) - 1) << shift;
  bytes[at] = (bytes[at] & ~mask) | ((value << shift) & mask);
}

function float8(byte: number, { mantissaBits, bias, hasInfinities, hasNegativeZero }: FloatFormat): number {
  if (!hasNegativeZero && byte === 0x80) return Number.NaN;
  const sign = byte >= 0x80 ? -1 : 1;
  const mantissa = byte & ((1 << mantissaBits) - 1);
  const exponent = (byte & 0x7f) >> mantissaBits;
  const isTop = exponent === (1 << (7 - mantissaBits)) - 1;
  if (hasInfinities && isTop) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (hasNegativeZero && !hasInfinities && (byte & 0x7f) === 0x7f) return Number.NaN;
  const share = mantissa / (1 << mantissaBits);
  return exponent === 0 ? sign * share * 2 ** (1 - bias) : sign * (1 + share) * 2 ** (exponent - bias);
}
