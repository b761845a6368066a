import { EmpError } from '../core/errors.ts';

/** Row-major numbers; `bool` comes as bytes, int64 as BigInt. */
export type TensorNumbers =
  | Float16Array
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** A tensor in memory: what goes into a model or comes out of it, on the CPU. */
export interface Fetched {
  /** `float32`, `int64`, `bool`, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: TensorNumbers;
}

/** An element type that data comes in. */
interface NumberType {
  /** NumPy's name of it (`ndarray.dtype.str`). */
  readonly descr: string;
  readonly width: number;
  /** The little-endian numbers at the start of a buffer. */
  view(buffer: ArrayBuffer): TensorNumbers;
}

const DTYPES: Readonly<Record<string, NumberType>> = {
  float16: { descr: '<f2', width: 2, view: (buffer) => new Float16Array(buffer) },
  float32: { descr: '<f4', width: 4, view: (buffer) => new Float32Array(buffer) },
  float64: { descr: '<f8', width: 8, view: (buffer) => new Float64Array(buffer) },
  bool: { descr: '|b1', width: 1, view: (buffer) => new Uint8Array(buffer) },
  int8: { descr: '|i1', width: 1, view: (buffer) => new Int8Array(buffer) },
  int16: { descr: '<i2', width: 2, view: (buffer) => new Int16Array(buffer) },
  int32: { descr: '<i4', width: 4, view: (buffer) => new Int32Array(buffer) },
  int64: { descr: '<i8', width: 8, view: (buffer) => new BigInt64Array(buffer) },
  uint8: { descr: '|u1', width: 1, view: (buffer) => new Uint8Array(buffer) },
  uint16: { descr: '<u2', width: 2, view: (buffer) => new Uint16Array(buffer) },
  uint32: { descr: '<u4', width: 4, view: (buffer) => new Uint32Array(buffer) },
  uint64: { descr: '<u8', width: 8, view: (buffer) => new BigUint64Array(buffer) },
};

/** The element types by NumPy's name of them. */
export const DTYPE_BY_DESCR: ReadonlyMap<string, string> = new Map(
  Object.entries(DTYPES).map(([dtype, { descr }]) => [descr, dtype]),
);

/** NumPy's name of an element type that is a number type. */
export function descrOf(dtype: string): string {
  return describe(dtype).descr;
}

/** Bytes of one element. Throws `unsupported_dtype`. */
export function byteWidth(dtype: string): number {
  return describe(dtype).width;
}

/** The whole buffer as numbers of `dtype`, not copied. Throws `unsupported_dtype`. */
export function viewNumbers(buffer: ArrayBuffer, dtype: string): TensorNumbers {
  return describe(dtype).view(buffer);
}

/** Whether data comes in it. */
export function isNumberType(dtype: string): boolean {
  return Object.hasOwn(DTYPES, dtype);
}

/** Integers beyond 2^53 are rounded. */
export function toFloat64(numbers: TensorNumbers): Float64Array {
  return numbers instanceof BigInt64Array || numbers instanceof BigUint64Array
    ? Float64Array.from(numbers, Number)
    : Float64Array.from(numbers);
}

/** What a run was asked for. @throws TypeError where it gave nothing */
export function present(fetched: Fetched | undefined): Fetched {
  if (fetched !== undefined) return fetched;
  throw new TypeError('a value that was not fetched');
}

/** The numbers of a tensor in float32. @throws TypeError for any other */
export function float32Of(fetched: Fetched | undefined): Float32Array {
  const { data, dtype } = present(fetched);
  if (data instanceof Float32Array) return data;
  throw new TypeError(`a tensor of ${dtype} in place of float32`);
}

function describe(dtype: string) {
  if (isNumberType(dtype)) return DTYPES[dtype];
  throw new EmpError('unsupported_dtype', `dtype '${dtype}' is none of ${Object.keys(DTYPES).join(', ')}`);
}
