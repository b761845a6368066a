import assert from 'node:assert/strict';
import { toBinary } from '@bufbuild/protobuf';
import type { Fetched } from '../../../src/formats/numbers.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { openSession } from '../../../src/runtime/session.ts';
import { RUNTIME } from '../../criteria/run-criterion.ts';

/** The nodes of a model's main graph: `y = Add(a, b)`. */
export function nodesOf({ graph }: ModelProto): string[] {
  return (graph?.node ?? []).map(({ output, opType, input }) => `${output} = ${opType}(${input.join(', ')})`);
}

export function namesOf(tensors: readonly { readonly name: string }[] = []): string[] {
  return tensors.map(({ name }) => name);
}

/** float32 of any shape, fed under a name. */
export function fed(name: string, shape: number[], start = 0): [string, Fetched] {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length }, (_, i) => Math.sin(start + i));
  return [name, { dtype: 'float32', shape, data }];
}

/** The numbers of a model's outputs, as onnxruntime has them. */
export async function outputsOf(
  model: ModelProto,
  ...feeds: readonly [string, Fetched][]
): Promise<ReadonlyMap<string, Fetched>> {
  await using session = await openSession(toBinary(ModelProtoSchema, model), RUNTIME);
  return await session.run(new Map(feeds), namesOf(session.outputs));
}

/** Whether both models have the same outputs, to the bit. */
export async function assertSame(
  model: ModelProto,
  other: ModelProto,
  ...feeds: readonly [string, Fetched][]
): Promise<void> {
  assert.deepEqual(await outputsOf(other, ...feeds), await outputsOf(model, ...feeds));
}

/** float32 tensors' numbers, of raw_data. */
export function numbersIn({ rawData }: TensorProto): number[] {
  return [...new Float32Array(rawData.slice().buffer)];
}
