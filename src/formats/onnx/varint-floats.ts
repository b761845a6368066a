import { EmpError } from '../../core/errors.ts';
import { MAX_VARINT_BYTES } from './wire.ts';

/**
 * The bit patterns of 16-bit floats kept as varints (`int32_data`), `count` of them. Throws `malformed_onnx` for another number of
 * varints or a value beyond 16 bits.
 */
export function decodeVarints(bytes: Uint8Array, count: number): Uint16Array<ArrayBuffer> {
  const values = new Uint16Array(count);
  let index = 0;
  for (let start = 0; start < bytes.byteLength; index++) {
    const end = varintEnd(bytes, start);
    let value = 0;
    for (let at = end - 1; at >= start; at--) value = value * 128 + (bytes[at] & 0x7f);
    if (value > 0xffff) {
      throw malformed(`element ${index}: expected a 16-bit float's bit pattern, found ${value}`);
    }
    if (index < count) values[index] = value;
    start = end;
  }
  if (index !== count) throw malformed(`expected ${count} elements, found ${index}`);
  return values;
}

/**
 * Makes every element whose bit in `keepMask` (bit `i & 7` of byte `i >> 3`) is 0 a zero of the same width: an over-long varint
 * such as `80 80 00`, which protobuf allows. All other bytes stay. Changes `bytes`.
 */
export function zeroVarints(bytes: Uint8Array, keepMask: Uint8Array): void {
  for (let start = 0, index = 0; start < bytes.byteLength; index++) {
    const end = varintEnd(bytes, start);
    if (((keepMask[index >> 3] >> (index & 7)) & 1) === 0) {
      bytes.fill(0x80, start, end - 1);
      bytes[end - 1] = 0;
    }
    start = end;
  }
}

function varintEnd(bytes: Uint8Array, start: number): number {
  for (let end = start; end < Math.min(start + MAX_VARINT_BYTES, bytes.byteLength); end++) {
    if (bytes[end] < 0x80) return end + 1;
  }
  throw malformed(`byte ${start} of int32_data: expected a whole varint`);
}

function malformed(message: string): EmpError {
  return new EmpError('malformed_onnx', `a tensor's int32_data is malformed: ${message}`);
}
