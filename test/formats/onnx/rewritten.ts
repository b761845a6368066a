import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { create, createRegistry, equals, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { bytesSource } from '../../../src/formats/byte-source.ts';
import type { KeptPositions } from '../../../src/formats/gather.ts';
import type { ModelFiles } from '../../../src/formats/model.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { rewriteModel } from '../../../src/formats/onnx/rewrite-model.ts';
import { readSkeleton } from '../../../src/formats/onnx/skeleton.ts';
import { encode } from '../../models/build-model.ts';

export type TensorParts = MessageInitShape<typeof TensorProtoSchema>;
export type Edit = (skeleton: ModelProto) => ReadonlyMap<TensorProto, KeptPositions>;

export const NO_EDIT: Edit = () => new Map();
export const { signal } = new AbortController();

/** Where a test file's models are written. */
export const directory = await mkdtemp(join(tmpdir(), 'emp-rewrite-'));
after(() => rm(directory, { recursive: true }));

/** Rewrites `model.onnx` into a folder of its own. */
export async function rewriteFiles(files: ModelFiles, edit: Edit) {
  const main = files.get('model.onnx');
  assert.ok(main);
  const skeleton = await readSkeleton(main, 'model.onnx');
  const target = await mkdtemp(join(directory, 'model-'));
  const names = await rewriteModel(skeleton, files, edit(skeleton), target, signal);
  const bytes = new Uint8Array(await readFile(join(target, 'model.onnx')));
  return { names, target, bytes, proto: fromBinary(ModelProtoSchema, bytes) };
}

export function rewrite(bytes: Uint8Array, edit: Edit = NO_EDIT, others: Record<string, Uint8Array> = {}) {
  const files = Object.entries({ 'model.onnx': bytes, ...others });
  return rewriteFiles(new Map(files.map(([name, data]) => [name, bytesSource(data)])), edit);
}

/** By `equals`, and by bytes, where -0 is not 0. */
export function assertSame(found: ModelProto, expected: ModelProto): void {
  assert.ok(equals(ModelProtoSchema, found, expected, { unknown: true, registry: createRegistry() }));
  assert.equal(Buffer.compare(encode(found), encode(expected)), 0);
}

/** Fields of a tensor kept outside. */
export function external(entries: Record<string, string | number>): TensorParts {
  return {
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value: `${value}` })),
  };
}

export function tensor(
  name: string,
  dims: readonly number[],
  dataType: Type,
  parts: TensorParts,
): TensorProto {
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType, ...parts } as TensorParts);
}

/** A model of one initializer, a float32 tensor, with the fields that `write` writes. */
export function inGraph(write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter().tag(2, WireType.Varint).int32(Type.FLOAT);
  write(writer);
  return [5, 7].reduce(
    (bytes, field) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish(),
    writer.finish(),
  );
}

export const initializersOf = (proto: ModelProto): TensorProto[] => proto.graph?.initializer ?? [];
export const keepFirst =
  (...kept: KeptPositions): Edit =>
  (skeleton) =>
    new Map([[initializersOf(skeleton)[0], kept]]);
export const numbersOf = ({ rawData }: TensorProto): number[] => [
  ...new Float32Array(rawData.slice().buffer),
];
export const range = (size: number) => Array.from({ length: size }, (_, at) => at);
export const even = (size: number) => range(size).filter((at) => at % 2 === 0);

export function entriesOf({ externalData }: TensorProto): Record<string, string> {
  return Object.fromEntries(externalData.map(({ key, value }) => [key, value]));
}
