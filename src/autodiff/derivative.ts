import type { AttributeProto } from '../formats/onnx/onnx-schema.ts';
import { AttributeReader } from '../graph/attribute-reader.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { AttributeValues } from '../graph/messages.ts';
import type { OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import type { Size, ValueFacts } from '../graph/value-facts.ts';

/**
 * The gradients of a node's inputs, given those of its outputs: one name for each input, in order, null where there is none or nobody needs it. Emits standard
 * nodes. Throws `Undifferentiable` where the node is of a kind that the rule does not cover.
 */
export type GradientRule = (at: GradientNode) => readonly (string | null)[];

/** Rules of standard operators by name. */
export type GradientRules = ReadonlyMap<string, GradientRule>;

/** Why a node cannot be differentiated. */
export class Undifferentiable extends Error {
  override readonly name = 'Undifferentiable';
}

/** A node under differentiation: what a rule reads, and shorthands for what it emits. All numbers are float32. */
export class GradientNode extends AttributeReader {
  readonly node: OnnxNode;
  readonly builder: GraphBuilder;
  readonly #facts: ValueFacts;
  readonly #gradients: readonly (string | null)[];
  readonly #needs: readonly boolean[];

  constructor(
    node: OnnxNode,
    builder: GraphBuilder,
    facts: ValueFacts,
    gradients: readonly (string | null)[],
    needs: readonly boolean[],
  ) {
    super();
    this.node = node;
    this.builder = builder;
    this.#facts = facts;
    this.#gradients = gradients;
    this.#needs = needs;
  }

  attribute(name: string): AttributeProto | undefined {
    return this.node.attribute(name);
  }

  /** Inputs given, left-out ones at the end not counted. */
  get inputCount(): number {
    return this.node.inputs.length;
  }

  input(index: number): string {
    return nameOf(this.node.inputs[index], `has no input ${index}`);
  }

  optionalInput(index: number): string | null {
    return this.node.inputs[index]?.name ?? null;
  }

  output(index = 0): string {
    return nameOf(this.node.outputs[index], `has no output ${index}`);
  }

  /** An output of the forward node that it may leave out, and from now on computes. */
  forwardOutput(index: number): string {
    const { output } = this.node.proto;
    while (output.length <= index) output.push('');
    output[index] ||= this.builder.fresh(this.node.op);
    return output[index];
  }

  /** The gradient of an output that the loss depends on. */
  gradient(index = 0): string {
    const gradient = this.#gradients[index];
    if (!gradient) throw new Undifferentiable(`output ${index} has no gradient`);
    return gradient;
  }

  /** The gradient of an output, null where the loss does not depend on it. */
  optionalGradient(index: number): string | null {
    return this.#gradients[index] ?? null;
  }

  /** Whether the gradient of an input is wanted. */
  needs(index: number): boolean {
    return this.#needs[index] ?? false;
  }

  shape(name: string): readonly Size[] | null {
    return this.#facts.shapeOf(name);
  }

  rank(name: string): number {
    const shape = this.shape(name);
    if (shape === null) throw new Undifferentiable(`the rank of ${name} is unknown`);
    return shape.length;
  }

  /** An attribute that names an axis of `of`, counted from the front. */
  axis(attribute: string, fallback: number, of: string): number {
    const axis = this.integer(attribute, fallback);
    return axis < 0 ? axis + this.rank(of) : axis;
  }

  /** The sizes of a value of fixed shape. */
  fixedShape(name: string): number[] {
    const shape = this.shape(name);
    if (shape === null || !shape.every((size) => typeof size === 'number')) {
      throw new Undifferentiable(`the shape of ${name} is not fixed`);
    }
    return [...shape];
  }

  /** The numbers of a small constant; null for any other value. */
  constant(name: string): readonly number[] | null {
    return this.#facts.constantOf(name);
  }

  /** Adds a node of one output. Null inputs are left out, and at the end not written: older operators have fewer. */
  op(op: string, inputs: readonly (string | null)[], attributes: AttributeValues = {}): string {
    const given = inputs.slice(0, inputs.findLastIndex((name) => name !== null) + 1);
    return this.builder.op(op, given, attributes);
  }

  add(a: string, b: string): string {
    return this.op('Add', [a, b]);
  }

  sub(a: string, b: string): string {
    return this.op('Sub', [a, b]);
  }

  mul(a: string, b: string): string {
    return this.op('Mul', [a, b]);
  }

  div(a: string, b: string): string {
    return this.op('Div', [a, b]);
  }

  neg(a: string): string {
    return this.op('Neg', [a]);
  }

  scalar(value: number): string {
    return this.builder.scalar(value);
  }

  integerVector(values: readonly number[]): string {
    return this.builder.integers(values);
  }

  shapeValue(name: string): string {
    return this.op('Shape', [name]);
  }

  /** The size along an axis counted from the front, as a vector of one. */
  sizeValue(name: string, axis: number): string {
    const size = this.shape(name)?.[axis];
    if (typeof size === 'number') return this.integerVector([size]);
    return this.op('Shape', [name], { start: axis, end: axis + 1 });
  }

  zerosLike(name: string): string {
    return this.expandLike(this.scalar(0), name);
  }

  transpose(a: string, perm: readonly number[]): string {
    return this.op('Transpose', [a], { perm });
  }

  /** To fixed sizes (-1 for one that follows, 0 for one that stays), or to the sizes that a value holds. */
  reshape(a: string, to: readonly number[] | string): string {
    return this.op('Reshape', [a, typeof to === 'string' ? to : this.integerVector(to)]);
  }

  /** `a` in the shape of `like`, which has as many elements. */
  reshapeLike(a: string, like: string): string {
    const shape = this.shape(like);
    const open = shape?.filter((size) => typeof size !== 'number').length ?? 2;
    if (shape === null || open > 1 || shape.includes(0)) return this.reshape(a, this.shapeValue(like));
    return this.reshape(
      a,
      shape.map((size) => (typeof size === 'number' ? size : -1)),
    );
  }

  expandLike(a: string, like: string): string {
    return this.op('Expand', [a, this.shapeValue(like)]);
  }

  sum(a: string, axes: readonly number[], keepdims = true): string {
    if (axes.length === 0) return a;
    return this.builder.reduce('ReduceSum', a, axes, keepdims);
  }

  mean(a: string, axes: readonly number[], keepdims = true): string {
    if (axes.length === 0) return a;
    return this.builder.reduce('ReduceMean', a, axes, keepdims);
  }

  unsqueeze(a: string, axes: readonly number[]): string {
    return this.op('Unsqueeze', [a, this.integerVector(axes)]);
  }

  /** 1 where a condition holds, else 0. */
  indicator(condition: string): string {
    return this.op('Cast', [condition], { to: FLOAT });
  }

  /** `a` where a condition holds, else 0. */
  where(condition: string, a: string): string {
    return this.op('Where', [condition, a, this.scalar(0)]);
  }

  /** `gradient`, of the shape of `result`, summed over the axes along which `operand` was broadcast to it. */
  unbroadcast(gradient: string, operand: string, result: string): string {
    const from = this.shape(result);
    const to = this.shape(operand);
    if (from === null || to === null || to.includes(null))
      return this.#unbroadcastAtRuntime(gradient, operand, result);
    const missing = from.length - to.length;
    const axes = [...from.keys()].filter(
      (axis) => axis < missing || (to[axis - missing] === 1 && from[axis] !== 1),
    );
    if (axes.length === 0) return gradient;
    const summed = this.sum(gradient, axes);
    return missing > 0 ? this.reshapeLike(summed, operand) : summed;
  }

  /** The axes are those where the operand's size is 1 and the result's is not, found when the model runs. */
  #unbroadcastAtRuntime(gradient: string, operand: string, result: string): string {
    const [to, from] = [this.shapeValue(operand), this.shapeValue(result)];
    const missing = this.sub(this.op('Shape', [from]), this.op('Shape', [to]));
    const ones = this.op('Expand', [this.integerVector([1]), missing]);
    const padded = this.op('Concat', [ones, to], { axis: 0 });
    const differs = this.op('Not', [this.op('Equal', [padded, from])]);
    const axes = this.reshape(this.op('NonZero', [differs]), [-1]);
    return this.reshape(this.op('ReduceSum', [gradient, axes], { keepdims: 1, noop_with_empty_axes: 1 }), to);
  }
}

const FLOAT = 1;

function nameOf(value: OnnxValue | null | undefined, problem: string): string {
  if (!value) throw new Undifferentiable(problem);
  return value.name;
}
