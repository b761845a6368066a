import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../formats/onnx/onnx-schema.ts';

/** An attribute to be written: whole numbers are INT, lists INTS, text STRING; a float must say that it is one. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] };

/** Slice ends and the like beyond this mean "to the end", and larger numbers lose their last digits. */
const FARTHEST = 2 ** 62;

/** Since this version all reductions take their axes as an input; ReduceSum has since 13. */
const AXES_INPUT_SINCE = 18;

/** Adds standard operators to a graph of opset 16 or later. Names begin with a prefix that no other name of the graph has. */
export class GraphBuilder {
  readonly #graph: GraphProto;
  readonly #prefix: string;
  readonly #constants = new Map<string, string>();
  readonly #opset: number;
  #names = 0;

  constructor(graph: GraphProto, prefix: string, opset: number) {
    this.#graph = graph;
    this.#prefix = prefix;
    this.#opset = opset;
  }

  /** A name that is still free. */
  fresh(hint: string): string {
    return `${this.#prefix}${this.#names++}_${hint}`;
  }

  /** Adds a node and returns its outputs' names. Null inputs are left out. */
  nodes(
    op: string,
    inputs: readonly (string | null)[],
    attributes: Readonly<Record<string, AttributeValue | undefined>>,
    outputs: number,
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.fresh(op));
    const attribute = Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined ? [] : createAttribute(name, value),
    );
    const input = inputs.map((name) => name ?? '');
    this.#graph.node.push(
      create(NodeProtoSchema, { opType: op, name: names[0], input, output: [...names], attribute }),
    );
    return names;
  }

  /** Adds a node of one output. */
  op(
    op: string,
    inputs: readonly (string | null)[],
    attributes: Readonly<Record<string, AttributeValue | undefined>> = {},
  ): string {
    return this.nodes(op, inputs, attributes, 1)[0];
  }

  /** ReduceSum, ReduceMean, ReduceMax, ... over `axes`. */
  reduce(op: string, input: string, axes: readonly number[], keepdims: boolean): string {
    if (op === 'ReduceSum' || this.#opset >= AXES_INPUT_SINCE) {
      return this.op(op, [input, this.integers(axes)], { keepdims: Number(keepdims) });
    }
    return this.op(op, [input], { axes, keepdims: Number(keepdims) });
  }

  /** A constant vector of int64. */
  integers(values: readonly number[]): string {
    return this.#integers(values, [values.length]);
  }

  /** A constant int64 of rank 0. */
  integer(value: number): string {
    return this.#integers([value], []);
  }

  /** A constant float32 of rank 0. */
  scalar(value: number): string {
    return this.floats([value], []);
  }

  /** A constant float32 tensor. */
  floats(values: readonly number[], dims: readonly number[]): string {
    const numbers = Float32Array.from(values);
    return this.#constant(
      `float [${dims}] ${values}`,
      TensorProto_DataType.FLOAT,
      dims,
      new Uint8Array(numbers.buffer),
    );
  }

  #integers(values: readonly number[], dims: readonly number[]): string {
    const bounded = values.map((value) => Math.max(-FARTHEST, Math.min(FARTHEST, value)));
    const numbers = BigInt64Array.from(bounded.map(BigInt));
    return this.#constant(
      `int64 [${dims}] ${bounded}`,
      TensorProto_DataType.INT64,
      dims,
      new Uint8Array(numbers.buffer),
    );
  }

  #constant(
    key: string,
    dataType: TensorProto_DataType,
    dims: readonly number[],
    rawData: Uint8Array<ArrayBuffer>,
  ): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh('constant');
    this.#graph.initializer.push(
      create(TensorProtoSchema, { name, dataType, dims: dims.map(BigInt), rawData }),
    );
    this.#constants.set(key, name);
    return name;
  }
}

function createAttribute(name: string, value: AttributeValue): AttributeProto {
  const attribute = (rest: object) => create(AttributeProtoSchema, { name, ...rest });
  if (typeof value === 'number') return attribute({ type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string')
    return attribute({ type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if ('float' in value) return attribute({ type: AttributeType.FLOAT, f: value.float });
  if ('floats' in value) return attribute({ type: AttributeType.FLOATS, floats: [...value.floats] });
  return attribute({ type: AttributeType.INTS, ints: value.map(BigInt) });
}
