import { elementCount } from '../../formats/model.ts';
import { AttributeReader } from '../attribute-reader.ts';
import type { OnnxNode } from '../onnx-model.ts';

/** Sizes of a value in one run; null where they are not known. */
export type ShapesOf = (name: string) => readonly number[] | null;

/** What a node multiplies, in one run. */
export interface Product {
  /** Inputs that may be weights, by their places. */
  readonly operands: readonly number[];
  readonly macs: number;
}

/** The products of a node; a text where they cannot be counted, with the node as its subject. */
export type CountProducts = (at: Operands) => readonly Product[] | string;

/** A size that is needed and not known. */
export class UnknownShape extends Error {
  readonly value: string;

  constructor(value: string) {
    super(value);
    this.value = value;
  }
}

/** A node with the sizes of what goes in and comes out. */
export class Operands extends AttributeReader {
  readonly node: OnnxNode;
  readonly #shapesOf: ShapesOf;

  constructor(node: OnnxNode, shapesOf: ShapesOf) {
    super();
    this.node = node;
    this.#shapesOf = shapesOf;
  }

  attribute(name: string) {
    return this.node.attribute(name);
  }

  /** Throws `UnknownShape`. */
  shape(input: number): readonly number[] {
    return this.#known(this.node.inputs[input]?.name ?? '');
  }

  /** Of an input that may be left out; null there. Throws `UnknownShape`. */
  optional(input: number): readonly number[] | null {
    return this.node.inputs[input] ? this.shape(input) : null;
  }

  /** Throws `UnknownShape`. */
  output(index = 0): readonly number[] {
    return this.#known(this.node.outputs[index]?.name ?? '');
  }

  gives(output: number): boolean {
    return Boolean(this.node.outputs[output]);
  }

  /** Elements of an input. */
  count(input: number): number {
    return elementCount(this.shape(input));
  }

  #known(name: string): readonly number[] {
    const shape = this.#shapesOf(name);
    if (shape === null) throw new UnknownShape(name);
    return shape;
  }
}

/** Positions of all axes but the last. */
export function rowsOf(shape: readonly number[]): number {
  return elementCount(shape.slice(0, -1));
}
