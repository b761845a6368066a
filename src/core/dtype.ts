/** The number formats that importance scores and prunable weights come in, little-endian throughout. */
export const FLOAT_DTYPES = ['float16', 'bfloat16', 'float32', 'float64'] as const;
export type FloatDtype = (typeof FLOAT_DTYPES)[number];

/** Bytes of one element. */
export const BYTE_WIDTH: Readonly<Record<FloatDtype, 2 | 4 | 8>> = {
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
};

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return (FLOAT_DTYPES as readonly string[]).includes(dtype);
}

/** Whether weights come in it: floats, and the bytes of quantized models, which others scale. */
export function isWeightDtype(dtype: string): boolean {
  return isFloatDtype(dtype) || dtype === 'int8' || dtype === 'uint8';
}
