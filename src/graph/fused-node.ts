import type { AttributeProto, NodeProto } from '../formats/onnx/onnx-schema.ts';
import { AttributeReader } from './attribute-reader.ts';
import type { GraphBuilder } from './graph-builder.ts';
import type { AttributeValues } from './messages.ts';

/** What a graph says of its values. */
export interface KnownValues {
  /** Null where it is not known. */
  rankOf(name: string): number | null;
  /** TensorProto's number of an element type; null where it is not known. */
  typeOf(name: string): number | null;
  /** Of a stored tensor; null for others. */
  shapeOf(name: string): readonly number[] | null;
  /** Whether a value is a product of matrices that nothing else reads. */
  isLoneProduct(name: string): boolean;
}

/** A fused node, and what its parts are written with. */
export class FusedNode extends AttributeReader {
  readonly node: NodeProto;
  readonly values: KnownValues;
  /** Version of the standard operators. */
  readonly opset: number;
  readonly #builder: GraphBuilder;

  constructor(node: NodeProto, values: KnownValues, opset: number, builder: GraphBuilder) {
    super();
    this.node = node;
    this.values = values;
    this.opset = opset;
    this.#builder = builder;
  }

  attribute(name: string): AttributeProto | undefined {
    return this.node.attribute.find((attribute) => attribute.name === name);
  }

  /** Null where it is left out. */
  input(index: number): string | null {
    return this.node.input[index] || null;
  }

  gives(output: number): boolean {
    return Boolean(this.node.output[output]);
  }

  /** Those attributes that a part has too. */
  own(...names: readonly string[]): AttributeProto[] {
    return this.node.attribute.filter(({ name }) => names.includes(name));
  }

  op(
    op: string,
    inputs: readonly (string | null)[],
    attributes: AttributeValues = {},
    copied: readonly AttributeProto[] = [],
  ): string {
    return this.#builder.op(op, inputs, attributes, copied);
  }

  /** One of onnxruntime's own operators. */
  microsoft(op: string, inputs: readonly (string | null)[], attributes: AttributeValues): string {
    return this.#builder.microsoft(op, inputs, attributes);
  }

  ops(
    op: string,
    inputs: readonly (string | null)[],
    attributes: AttributeValues,
    outputs: number,
  ): string[] {
    return this.#builder.nodes(op, inputs, attributes, outputs);
  }

  /** A number of the type that the node computes with. */
  scalar(value: number): string {
    const types = this.node.input.map((name) => this.values.typeOf(name));
    const type = types.find((known) => known !== null && FLOATS.has(known)) ?? FLOAT;
    const single = this.#builder.scalar(value);
    return type === FLOAT ? single : this.op('Cast', [single], { to: type });
  }

  /** Sizes of the axes from `start` to before `end`, from opset 15 on. */
  sizes(value: string, start: number, end: number): string {
    return this.op('Shape', [value], { start, end });
  }

  /** Vectors as one. */
  joined(parts: readonly string[]): string {
    return this.op('Concat', parts, { axis: 0 });
  }

  /** With further axes, from opset 13 on. */
  unsqueezed(value: string, axes: readonly number[]): string {
    return this.op('Unsqueeze', [value, this.vector(axes)]);
  }

  /** A constant vector of integers. */
  vector(values: readonly number[]): string {
    return this.#builder.integers(values);
  }

  /** A constant integer. */
  whole(value: number): string {
    return this.#builder.integer(value);
  }

  sum(x: string, axis: number, isKept: boolean): string {
    return this.#builder.reduce('ReduceSum', x, [axis], isKept);
  }

  /** The largest number along the last axis, which stays. */
  most(x: string): string {
    return this.#builder.reduce('ReduceMax', x, [-1], true);
  }

  times(a: string, b: string | number): string {
    return this.op('Mul', [a, typeof b === 'number' ? this.scalar(b) : b]);
  }

  plus(a: string, b: string | number | null): string {
    if (b === null) return a;
    return this.op('Add', [a, typeof b === 'number' ? this.scalar(b) : b]);
  }
}

const FLOAT = 1;
/** float32, float16, float64, bfloat16 */
const FLOATS = new Set([FLOAT, 10, 11, 16]);
/** Shape gives some of the sizes since. */
export const SHAPE_PARTS_SINCE = 15;

/** The values that a node's outputs are, one for each that it gives, made by standard operators; null where it is used in a way that these parts do not cover. */
export type Parts = (at: FusedNode) => readonly (string | null)[] | null;
