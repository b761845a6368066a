import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../formats/onnx/onnx-schema.ts';

/** An attribute to be written: whole numbers are INT, lists INTS, text STRING; a float must say that it is one. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorProto };

/** Attributes by name; those that are undefined are left out. */
export type AttributeValues = Readonly<Record<string, AttributeValue | undefined>>;

const MAX_INT64 = 2n ** 63n - 1n;

export function createAttribute(name: string, value: AttributeValue): AttributeProto {
  const attribute = (rest: object) => create(AttributeProtoSchema, { name, ...rest });
  if (typeof value === 'number') return attribute({ type: AttributeType.INT, i: toInt64(value) });
  if (typeof value === 'string')
    return attribute({ type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if ('float' in value) return attribute({ type: AttributeType.FLOAT, f: value.float });
  if ('floats' in value) return attribute({ type: AttributeType.FLOATS, floats: [...value.floats] });
  if ('tensor' in value) return attribute({ type: AttributeType.TENSOR, t: value.tensor });
  return attribute({ type: AttributeType.INTS, ints: value.map(toInt64) });
}

/** A node of the standard operators. */
export function createNode(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: AttributeValues = {},
  name = '',
): NodeProto {
  const attribute = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : createAttribute(key, value),
  );
  return create(NodeProtoSchema, { opType, name, input: [...input], output: [...output], attribute });
}

/** Gives a node's attribute one or several whole numbers; one that it lacks is added. */
export function setIntegers(node: NodeProto, name: string, value: number | readonly number[]): void {
  const made = createAttribute(name, value);
  const found = node.attribute.find((attribute) => attribute.name === name);
  if (found === undefined) node.attribute.push(made);
  else if (typeof value === 'number') found.i = made.i;
  else found.ints = made.ints;
}

/** Gives a node's attribute a float; one that it lacks is added. */
export function setFloat(node: NodeProto, name: string, value: number): void {
  takeAttribute(node, name);
  node.attribute.push(createAttribute(name, { float: value }));
}

/** Removes a node's attribute and returns it. */
export function takeAttribute(node: NodeProto, name: string): AttributeProto | undefined {
  const found = node.attribute.find((attribute) => attribute.name === name);
  node.attribute = node.attribute.filter((attribute) => attribute !== found);
  return found;
}

/** A tensor that holds the bytes of its numbers, little-endian. */
export function createTensor(
  name: string,
  dataType: number,
  dims: readonly number[],
  rawData: Uint8Array<ArrayBuffer>,
): TensorProto {
  return create(TensorProtoSchema, { name, dataType, dims: dims.map(BigInt), rawData });
}

/** A tensor of int64. */
export function integerTensor(name: string, values: readonly number[], dims: readonly number[]): TensorProto {
  const numbers = BigInt64Array.from(values, toInt64);
  return createTensor(name, TensorProto_DataType.INT64, dims, new Uint8Array(numbers.buffer));
}

/**
 * An input or output that is a tensor.
 * @param dims a size, the name of one that is open, or null for one without a name; null in all leaves the rank open
 */
export function declareTensor(
  name: string,
  elemType: number,
  dims: readonly (number | string | null)[] | null = null,
): ValueInfoProto {
  const shape = dims && { dim: dims.map((size) => ({ value: dimension(size) })) };
  const type = create(TypeProtoSchema, {
    value: { case: 'tensorType', value: { elemType, ...(shape && { shape }) } },
  });
  return create(ValueInfoProtoSchema, { name, type });
}

function dimension(size: number | string | null) {
  if (typeof size === 'number') return { case: 'dimValue' as const, value: BigInt(size) };
  return size === null ? { case: undefined } : { case: 'dimParam' as const, value: size };
}

/** Ends of a Slice that mean its end are as large as can be, and were rounded up to 2^63. */
function toInt64(value: number): bigint {
  return value >= 2 ** 63 ? MAX_INT64 : BigInt(value);
}
