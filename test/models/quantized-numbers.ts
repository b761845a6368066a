import { create } from '@bufbuild/protobuf';
import { RandomWords } from '../../src/core/random-words.ts';
import {
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { elements } from './build-model.ts';

/** A format of quantized numbers: its bits, its range, and how a number of it is written. */
export interface QuantizedFormat {
  readonly name: 'INT8' | 'UINT8' | 'INT16' | 'UINT16' | 'INT32' | 'INT4' | 'UINT4' | 'INT2' | 'UINT2';
  readonly bits: number;
  readonly least: number;
}

export const FORMATS = {
  int8: { name: 'INT8', bits: 8, least: -128 },
  uint8: { name: 'UINT8', bits: 8, least: 0 },
  int16: { name: 'INT16', bits: 16, least: -32768 },
  uint16: { name: 'UINT16', bits: 16, least: 0 },
  int4: { name: 'INT4', bits: 4, least: -8 },
  uint4: { name: 'UINT4', bits: 4, least: 0 },
  int32: { name: 'INT32', bits: 32, least: -(2 ** 31) },
} as const satisfies Record<string, QuantizedFormat>;

/** Numbers of a format back to back, the first in a byte's lowest bits. */
export function pack(numbers: readonly number[], bits: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((numbers.length * bits) / 8));
  for (const [i, number] of numbers.entries()) {
    for (let bit = 0; bit < bits; bit++) {
      const at = i * bits + bit;
      if (Math.floor(number / 2 ** bit) & 1) bytes[at >> 3] |= 1 << (at & 7);
    }
  }
  return bytes;
}

/** The inverse of `pack`. */
export function unpack(bytes: Uint8Array, { bits, least }: QuantizedFormat, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    let number = 0;
    for (let bit = 0; bit < bits; bit++) {
      const at = i * bits + bit;
      if ((bytes[at >> 3] >> (at & 7)) & 1) number += 2 ** bit;
    }
    return least < 0 && number >= 2 ** (bits - 1) ? number - 2 ** bits : number;
  });
}

/** A stored tensor of quantized numbers; as varints those of 8 bits and more are one each. */
export function quantizedTensor(
  name: string,
  format: QuantizedFormat,
  dims: readonly number[],
  numbers: readonly number[],
  encoding: 'raw' | 'varint' = 'raw',
): TensorProto {
  const { bits } = format;
  const dataType = TensorProto_DataType[format.name];
  const rest = { name, dataType, dims: dims.map(BigInt) };
  const packed = pack(numbers, bits);
  if (encoding === 'raw') return create(TensorProtoSchema, { ...rest, rawData: packed });
  return create(TensorProtoSchema, { ...rest, int32Data: bits < 8 ? [...packed] : [...numbers] });
}

/** Numbers of a format in its whole range, the same for a seed. */
export function drawNumbers(
  { bits, least }: QuantizedFormat,
  dims: readonly number[],
  seed: number,
): number[] {
  const words = new RandomWords(seed);
  return Array.from(
    { length: elements(dims) },
    () => least + Math.floor(words.nextShare() * (2 ** bits - 1)),
  );
}

/** Scales between a hundredth and some more. */
export function drawScales(count: number, seed: number): number[] {
  const words = new RandomWords(seed);
  return Array.from({ length: count }, () => Math.fround(0.01 + words.nextShare() / 30));
}
