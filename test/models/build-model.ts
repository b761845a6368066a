import { create, toBinary } from '@bufbuild/protobuf';
import { type ByteSource, bytesSource } from '../../src/formats/byte-source.ts';
import type { ModelInventory, ModelTensor } from '../../src/formats/model.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { readOnnxInventory } from '../../src/graph/onnx-inventory.ts';

export type AttributeValue =
  | number
  | string
  | number[]
  | TensorProto
  | GraphProto
  | { ref: string }
  | { float: number }
  | { floats: number[] };

export function elements(dims: readonly number[]): number {
  return dims.reduce((count, size) => count * size, 1);
}

type DtypeName = Exclude<keyof typeof TensorProto_DataType, number>;

/** An input or output: numbers are fixed dimensions, names dynamic ones. */
export function value(
  name: string,
  dims: readonly (number | string)[],
  dtype: DtypeName = 'FLOAT',
): ValueInfoProto {
  const shape = {
    dim: dims.map((size) => ({
      value:
        typeof size === 'number'
          ? { case: 'dimValue' as const, value: BigInt(size) }
          : { case: 'dimParam' as const, value: size },
    })),
  };
  const elemType = TensorProto_DataType[dtype];
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType, shape } } });
  return create(ValueInfoProtoSchema, { name, type });
}

/** A stored tensor of these numbers, float32 unless told otherwise. */
export function tensor(
  name: string,
  dims: readonly number[],
  values: Float32Array<ArrayBuffer> | Float16Array<ArrayBuffer>,
): TensorProto {
  const type = values instanceof Float32Array ? TensorProto_DataType.FLOAT : TensorProto_DataType.FLOAT16;
  const rawData = new Uint8Array(values.buffer);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: type, rawData });
}

/** float32 numbers 1, 2, 3, ... in raw_data. */
export function floats(name: string, dims: readonly number[]): TensorProto {
  return tensor(
    name,
    dims,
    Float32Array.from({ length: elements(dims) }, (_, index) => index + 1),
  );
}

export function integers(name: string, values: readonly number[], dims = [values.length]): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: TensorProto_DataType.INT64,
    int64Data: values.map(BigInt),
  });
}

export function node(
  op: string,
  input: string[],
  output: string[],
  attributes: Record<string, AttributeValue> = {},
  domain = '',
): NodeProto {
  return create(NodeProtoSchema, {
    opType: op,
    domain,
    input,
    output,
    name: `${op}_${output[0]}`,
    attribute: Object.entries(attributes).map(([name, value]) => createAttribute(name, value)),
  });
}

function createAttribute(name: string, value: AttributeValue): AttributeProto {
  const attribute = (rest: object) => create(AttributeProtoSchema, { name, ...rest });
  if (typeof value === 'number') return attribute({ type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return attribute({ type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  if (Array.isArray(value)) return attribute({ type: AttributeType.INTS, ints: value.map(BigInt) });
  if ('floats' in value) return attribute({ type: AttributeType.FLOATS, floats: value.floats });
  if ('float' in value) return attribute({ type: AttributeType.FLOAT, f: value.float });
  if ('ref' in value) return attribute({ type: AttributeType.INT, refAttrName: value.ref });
  if (value.$typeName === 'onnx.TensorProto') return attribute({ type: AttributeType.TENSOR, t: value });
  return attribute({ type: AttributeType.GRAPH, g: value });
}

/** Of a name alone nothing is said but that. */
function declare(input: string | [string, number[]]): ValueInfoProto {
  return typeof input === 'string' ? create(ValueInfoProtoSchema, { name: input }) : value(...input);
}

export interface GraphParts {
  readonly nodes: NodeProto[];
  readonly initializers?: TensorProto[];
  /** Names, or names with the shape of a float32 value, which onnxruntime asks for. */
  readonly inputs?: (string | [string, number[]])[];
  readonly outputs?: (string | [string, number[]])[];
}

export function graph(parts: GraphParts): GraphProto {
  return create(GraphProtoSchema, {
    name: 'graph',
    node: parts.nodes,
    initializer: parts.initializers ?? [],
    input: (parts.inputs ?? []).map(declare),
    output: (parts.outputs ?? []).map(declare),
  });
}

export function modelFunction(
  name: string,
  input: string[],
  output: string[],
  nodes: NodeProto[],
  attribute: string[] = [],
): FunctionProto {
  const opsetImport = [opset('', 17)];
  return create(FunctionProtoSchema, {
    name,
    domain: 'local',
    input,
    output,
    node: nodes,
    attribute,
    opsetImport,
  });
}

function opset(domain: string, version: number) {
  return create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) });
}

/** What the graph reads and nothing gives is an input too. */
export function model(parts: GraphParts, functions: FunctionProto[] = []): ModelProto {
  const whole = graph(parts);
  whole.input.push(...namesReadFromOutside(whole).map(declare));
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [opset('', 17), opset('local', 1), opset('com.microsoft', 1)],
    graph: whole,
    functions,
  });
}

function namesReadFromOutside({ input, initializer, sparseInitializer, node, output }: GraphProto): string[] {
  const inner = node.flatMap(({ attribute }) =>
    attribute.flatMap(({ g }) => (g ? namesReadFromOutside(g) : [])),
  );
  const read = [...node.flatMap((each) => each.input), ...inner, ...output.map(({ name }) => name)];
  const given = new Set([...input, ...initializer].map(({ name }) => name));
  for (const { values } of sparseInitializer) if (values) given.add(values.name);
  for (const name of node.flatMap((each) => each.output)) given.add(name);
  return [...new Set(read)].filter((name) => name !== '' && !given.has(name));
}

export function encode(proto: ModelProto): Uint8Array<ArrayBuffer> {
  return new Uint8Array(toBinary(ModelProtoSchema, proto));
}

export function inventoryOf(
  bytes: Uint8Array | ByteSource,
  others: Record<string, Uint8Array> = {},
): Promise<ModelInventory> {
  const source = bytes instanceof Uint8Array ? bytesSource(bytes) : bytes;
  const files = Object.entries(others).map(([name, data]): [string, ByteSource] => [name, bytesSource(data)]);
  return readOnnxInventory(new Map([['model.onnx', source], ...files]));
}

/** The weights of a model, with their rows as `[outer, reduced, units, inner]`. */
export async function weightsOf(
  parts: GraphParts,
  functions: FunctionProto[] = [],
): Promise<Record<string, number[] | null>> {
  const { tensors } = await inventoryOf(encode(model(parts, functions)));
  const weights = tensors.filter(({ role }) => role === 'weight');
  return Object.fromEntries(weights.map((tensor) => [tensor.name, rowsOf(tensor)]));
}

export function rowsOf({ rows }: ModelTensor): number[] | null {
  return rows && [rows.outer, rows.reduced, rows.units, rows.inner];
}

/** A file of `byteLength` zeros but for `pieces` at their offsets; counts what is read of it. */
export class SparseSource implements ByteSource {
  readonly byteLength: number;
  bytesRead = 0;
  readonly #pieces: ReadonlyMap<number, Uint8Array>;

  constructor(byteLength: number, pieces: ReadonlyMap<number, Uint8Array>) {
    this.byteLength = byteLength;
    this.#pieces = pieces;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    this.bytesRead += end - start;
    const bytes = new Uint8Array(end - start);
    for (const [offset, piece] of this.#pieces) {
      const [from, to] = [Math.max(start, offset), Math.min(end, offset + piece.byteLength)];
      if (from < to) bytes.set(piece.subarray(from - offset, to - offset), from - start);
    }
    return bytes;
  }
}
