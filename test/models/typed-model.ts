import { create } from '@bufbuild/protobuf';
import {
  TensorProto_DataType,
  type TypeProto,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { encode, floats, graph, model, node } from './build-model.ts';

export const { FLOAT, INT64, BFLOAT16, STRING } = TensorProto_DataType;

/** An input as a model declares it: a number is a fixed size, a text the name of an open one, null one without a name. */
export function typedInput(
  name: string,
  elemType: number,
  dims: readonly (number | string | null)[] | null,
): ValueInfoProto {
  const dim = dims?.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : size === null
          ? { case: undefined }
          : { case: 'dimParam' as const, value: size },
  }));
  return inputOfType(name, {
    case: 'tensorType',
    value: { elemType, ...(dim && { shape: { dim } }) } as never,
  });
}

export function inputOfType(name: string, value: TypeProto['value'] | null): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, ...(value && { type: create(TypeProtoSchema, { value }) }) });
}

/** An `.onnx` file that multiplies its first input `[..., 4]` by a weight `w` `[4, 3]` and takes the other inputs for nothing. */
export function typedModel(...inputs: ValueInfoProto[]): Uint8Array<ArrayBuffer> {
  const proto = model({ nodes: [] });
  proto.graph = graph({
    nodes: [node('MatMul', [inputs[0]?.name ?? '', 'w'], ['y'])],
    initializers: [floats('w', [4, 3])],
    outputs: ['y'],
  });
  proto.graph.input = inputs;
  return encode(proto);
}
