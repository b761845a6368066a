import { EmpError } from '../../core/errors.ts';
import { MAX_VARINT_BYTES } from './wire.ts';

/** Varints as little-endian elements of at most 4 bytes, of which each varint has the bits. Throws `malformed_onnx` where one is cut. */
export function elementsOfVarints(varints: Uint8Array, byteWidth: number): Uint8Array {
  const elements: number[] = [];
  for (let start = 0; start < varints.byteLength; ) {
    const end = varintEnd(varints, start);
    const value = lowBits(varints, start, end);
    for (let byte = 0; byte < byteWidth; byte++) elements.push((value >> (8 * byte)) & 0xff);
    start = end;
  }
  return Uint8Array.from(elements);
}

/**
 * Gives those varints other numbers whose elements have changed, each in as many bytes as it had: an over-long varint such as `80 80 00`, which protobuf allows. All other bytes
 * stay. Changes `varints`. Throws RangeError for a number that needs more bytes.
 */
export function overwriteVarints(varints: Uint8Array, elements: Uint8Array, byteWidth: number): void {
  const mask = 2 ** (8 * byteWidth);
  for (let start = 0, at = 0; start < varints.byteLength; at += byteWidth) {
    const end = varintEnd(varints, start);
    let value = 0;
    for (let byte = byteWidth - 1; byte >= 0; byte--) value = value * 256 + elements[at + byte];
    if (value !== (lowBits(varints, start, end) >>> 0) % mask) {
      if (value >= 2 ** (7 * (end - start)))
        throw new RangeError(`${value} needs more than ${end - start} bytes`);
      for (let next = start; next < end; next++, value = Math.floor(value / 128))
        varints[next] = (value % 128) | (next < end - 1 ? 0x80 : 0);
    }
    start = end;
  }
}

function lowBits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start, shift = 0; at < end && shift < 32; at++, shift += 7)
    value |= (bytes[at] & 0x7f) << shift;
  return value;
}

function varintEnd(bytes: Uint8Array, start: number): number {
  for (let end = start; end < Math.min(start + MAX_VARINT_BYTES, bytes.byteLength); end++) {
    if (bytes[end] < 0x80) return end + 1;
  }
  throw new EmpError(
    'malformed_onnx',
    `a tensor's int32_data is malformed: byte ${start}: expected a whole varint`,
  );
}
