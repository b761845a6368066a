import { create } from '@bufbuild/protobuf';
import { RandomWords } from '../../../src/core/random-words.ts';
import { elementCount } from '../../../src/formats/model.ts';
import {
  type ModelProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { node } from '../../models/build-model.ts';
import { weights } from '../../models/runtime-model.ts';
import { build, type Parts } from '../../models/traced-model.ts';

export const INT64_MAX = 2n ** 63n - 1n;

export const TIED = 'is tied to an axis that cannot shrink';
export const KERNEL = 'is a position of a kernel';
export const SPATIAL = 'is a spatial axis';
export const STATISTICS = 'has its mean and variance taken over it';

/** A small graph for the rules of its operators. */
export interface RuleCase {
  /** What is special in it. */
  readonly name: string;
  readonly model: ModelProto;
  /** How many roots can be removed. */
  readonly removable: number;
  /** What is said of the others, sorted. */
  readonly frozen: readonly string[];
}

export function of(name: string, removable: number, frozen: readonly string[], parts: Parts): RuleCase {
  return { name, removable, frozen, model: build({ inputs: [], ...parts }) };
}

/** Random numbers from -1 to 1, the same for a name every time. */
export function random(name: string, dims: readonly number[]): TensorProto {
  const words = new RandomWords([...name].reduce((seed, letter) => seed * 31 + letter.charCodeAt(0), 7));
  return weights(
    name,
    dims,
    Array.from({ length: elementCount(dims) }, () => words.next() / 2 ** 31 - 1),
  );
}

export function typed(
  name: string,
  dataType: number,
  dims: readonly number[],
  rawData: ArrayBuffer,
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType,
    dims: dims.map(BigInt),
    rawData: new Uint8Array(rawData),
  });
}

export const int32 = (name: string, values: readonly number[]) =>
  typed(name, TensorProto_DataType.INT32, [values.length], Int32Array.from(values).buffer);
export const int64 = (name: string, values: readonly bigint[]) =>
  typed(name, TensorProto_DataType.INT64, [values.length], BigInt64Array.from(values).buffer);
export const uint8 = (name: string, values: readonly number[]) =>
  typed(name, TensorProto_DataType.UINT8, [values.length], Uint8Array.from(values).buffer);
export const scalar = (name: string, value: number) => weights(name, [], [value]);
export const cast = (input: string, output: string, to: number) => node('Cast', [input], [output], { to });
