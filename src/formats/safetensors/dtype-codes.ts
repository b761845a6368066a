/** How the format writes an element type, what this project calls it, and the bits of one element. */
export interface SafetensorsDtype {
  readonly code: string;
  readonly name: string;
  readonly bits: number;
}

/** Every type of the format (`Dtype` of the reference implementation, safetensors 0.6). Elements narrower than a byte are packed. */
const DTYPES: readonly SafetensorsDtype[] = [
  { code: 'BOOL', name: 'bool', bits: 8 },
  { code: 'F4', name: 'float4_e2m1fn', bits: 4 },
  { code: 'F6_E2M3', name: 'float6_e2m3fn', bits: 6 },
  { code: 'F6_E3M2', name: 'float6_e3m2fn', bits: 6 },
  { code: 'U8', name: 'uint8', bits: 8 },
  { code: 'I8', name: 'int8', bits: 8 },
  { code: 'F8_E5M2', name: 'float8_e5m2', bits: 8 },
  { code: 'F8_E4M3', name: 'float8_e4m3fn', bits: 8 },
  { code: 'F8_E8M0', name: 'float8_e8m0fnu', bits: 8 },
  { code: 'F8_E4M3FNUZ', name: 'float8_e4m3fnuz', bits: 8 },
  { code: 'F8_E5M2FNUZ', name: 'float8_e5m2fnuz', bits: 8 },
  { code: 'I16', name: 'int16', bits: 16 },
  { code: 'U16', name: 'uint16', bits: 16 },
  { code: 'F16', name: 'float16', bits: 16 },
  { code: 'BF16', name: 'bfloat16', bits: 16 },
  { code: 'I32', name: 'int32', bits: 32 },
  { code: 'U32', name: 'uint32', bits: 32 },
  { code: 'F32', name: 'float32', bits: 32 },
  { code: 'C64', name: 'complex64', bits: 64 },
  { code: 'F64', name: 'float64', bits: 64 },
  { code: 'I64', name: 'int64', bits: 64 },
  { code: 'U64', name: 'uint64', bits: 64 },
];

/** By the format's own code (`BF16`). */
export const DTYPE_BY_CODE: ReadonlyMap<string, SafetensorsDtype> = new Map(
  DTYPES.map((dtype) => [dtype.code, dtype]),
);

/** By this project's name (`bfloat16`). */
export const DTYPE_BY_NAME: ReadonlyMap<string, SafetensorsDtype> = new Map(
  DTYPES.map((dtype) => [dtype.name, dtype]),
);

/**
 * Bytes of a tensor's data, or null where the element count or the size overflows what a number holds exactly
 * (8 PiB), or packed elements do not fill their last byte.
 */
export function tensorByteLength(shape: readonly number[], bits: number): number | null {
  let total = bits;
  for (const dimension of shape) {
    total *= dimension;
    if (!Number.isSafeInteger(total)) return null;
  }
  return total % 8 === 0 ? total / 8 : null;
}
