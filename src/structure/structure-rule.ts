import { clip, MAX_TOLD_NAME } from '../core/clip.ts';
import type { AttributeProto } from '../formats/onnx/onnx-schema.ts';
import { AttributeReader } from '../graph/attribute-reader.ts';
import type { OnnxNode } from '../graph/onnx-model.ts';
import type { GraphEdit } from './graph-edit.ts';
import type { LaneAxis, Lanes, Obstacle } from './lanes.ts';

/** What is known of the values of a graph: two runs of it under different sizes of all open axes. */
export interface GraphFacts {
  /** Sizes in the first run. Throws `Untraceable` for what is no tensor. */
  sizesOf(name: string): readonly number[];
  /** Sizes in the second run, which differ where a size follows an open axis. */
  otherSizesOf(name: string): readonly number[];
  /** Integers that are the same whatever the inputs are; null for any other value. */
  integersOf(name: string): readonly number[] | null;
  /** Whether the node's outputs are constants, and stored as such where a removal would alter them: what it reads no longer matters. */
  isFolded(node: OnnxNode): boolean;
  isFloat(name: string): boolean;
  /** So where the type is not known. */
  isInteger(name: string): boolean;
  /** Whether a value is more than what the model stores, and than which of its matrices are picked. */
  isActivation(name: string): boolean;
  /** Version of the standard operators. */
  readonly opset: number;
}

/** A node whose shapes are unknown. */
export class Untraceable extends Error {
  override readonly name = 'Untraceable';
}

/**
 * Relates the axes of a node's inputs and outputs: returns the axes of every output, in order, ties what goes together, freezes what must stay, says what is summed
 * over, and what is to be changed in the node when something goes.
 */
export type StructureRule = (at: AnalysedNode) => readonly (readonly LaneAxis[])[];

/** Rules by operator; those of other domains than the standard one are named with it, as `com.microsoft.Attention`. */
export type StructureRules = ReadonlyMap<string, StructureRule>;

/** An axis that a node sums over: what is removed from it has to be zero for the sum to stay what it was. */
export interface Contraction {
  readonly node: OnnxNode;
  readonly input: number;
  readonly axis: number;
}

/** What a structure is by the way it is used, for granularities. */
export type LaneTag = 'head' | 'head_width';

/** What the analysis of a graph gathers while rules go through it. */
export interface NodeFindings {
  readonly lanes: Lanes;
  /** Axes of a value of the main graph that has been seen. */
  axesOf(name: string): readonly LaneAxis[];
  /** What stands in the graph where something is summed over, for checks. */
  readonly contractions: Contraction[];
  /** What nodes need done when something is removed, in the graph's order. */
  readonly changes: ((edit: GraphEdit) => void)[];
  tag(axis: LaneAxis, tag: LaneTag): void;
}

/** A node under analysis. Inputs and outputs are given by position. */
export class AnalysedNode extends AttributeReader {
  readonly node: OnnxNode;
  readonly facts: GraphFacts;
  /** Axes that the rule has left out. */
  readonly leftOut = new Set<LaneAxis>();
  readonly #findings: NodeFindings;
  /** Which of the node's inputs are meant; null where it is those that it has. */
  readonly #order: readonly number[] | null;

  constructor(
    node: OnnxNode,
    facts: GraphFacts,
    findings: NodeFindings,
    order: readonly number[] | null = null,
  ) {
    super();
    this.node = node;
    this.facts = facts;
    this.#findings = findings;
    this.#order = order;
  }

  /** The node as if it had these of its inputs alone, in this order: as the operator on floats that it is a quantized form of. */
  withInputs(order: readonly number[]): AnalysedNode {
    return new AnalysedNode(this.node, this.facts, this.#findings, order);
  }

  #place(input: number): number {
    return this.#order === null ? input : (this.#order[input] ?? -1);
  }

  attribute(name: string): AttributeProto | undefined {
    return this.node.attribute(name);
  }

  get lanes(): Lanes {
    return this.#findings.lanes;
  }

  hasInput(input: number): boolean {
    return this.node.inputs[this.#place(input)] != null;
  }

  /** Positions of the inputs that are given. */
  get givenInputs(): number[] {
    const inputs = this.#order ?? this.node.inputs;
    return [...inputs.keys()].filter((input) => this.hasInput(input));
  }

  inputName(input: number): string {
    return this.node.inputs[this.#place(input)]?.name ?? '';
  }

  outputName(output = 0): string {
    return this.node.outputs[output]?.name ?? '';
  }

  /** Axes of any value. */
  axesOf(name: string): readonly LaneAxis[] {
    return this.#findings.axesOf(name);
  }

  /** Axes of an input; none of one that is left out. */
  axes(input: number): readonly LaneAxis[] {
    return this.hasInput(input) ? this.#findings.axesOf(this.inputName(input)) : [];
  }

  sizes(input: number): readonly number[] {
    return this.facts.sizesOf(this.inputName(input));
  }

  outputSizes(output = 0): readonly number[] {
    return this.facts.sizesOf(this.outputName(output));
  }

  /** Whether a size of the output follows an open axis of the model. */
  isOpen(axis: number): boolean {
    return this.outputSizes()[axis] !== this.facts.otherSizesOf(this.outputName())[axis];
  }

  /** Whether a size of the output is that of an axis of the first input, in both runs. */
  isInputSize(axis: number, inputAxis: number): boolean {
    const others = [this.facts.otherSizesOf(this.outputName()), this.facts.otherSizesOf(this.inputName(0))];
    return this.outputSizes()[axis] === this.sizes(0)[inputAxis] && others[0][axis] === others[1][inputAxis];
  }

  /** The integers of an input that is the same whatever the model is fed; null for any other. */
  integersOf(input: number): readonly number[] | null {
    return this.hasInput(input) ? this.facts.integersOf(this.inputName(input)) : null;
  }

  /** An attribute that names one of `rank` axes, counted from the front. */
  axis(attribute: string, fallback: number, rank: number): number {
    const axis = this.integer(attribute, fallback);
    return axis < 0 ? axis + rank : axis;
  }

  obstacle(reason: string): Obstacle {
    return { node: this.node.label, operator: clip(this.node.op, MAX_TOLD_NAME), reason };
  }

  /** States that the positions of two axes go together; where one of them cannot shrink neither can. */
  tie(a: LaneAxis, b: LaneAxis): void {
    this.lanes.tie(a, b, this.obstacle('is tied to an axis that cannot shrink'));
  }

  freeze(axis: LaneAxis, reason: string, isAffected?: (position: number) => boolean): void {
    this.lanes.freezeAxis(axis, this.obstacle(reason), isAffected);
  }

  /** The node reads an axis without passing all of it on, and may: what it leaves out can go without harm. */
  leaveOut(axis: LaneAxis): void {
    this.leftOut.add(axis);
  }

  /** Freezes axes, and gives as many that cannot shrink. */
  fixed(axes: readonly LaneAxis[], reason: string): LaneAxis[] {
    for (const axis of axes) this.freeze(axis, reason);
    return axes.map(() => null);
  }

  /** Freezes all inputs: nothing that the node reads can shrink. */
  frozen(reason: string): LaneAxis[][] {
    for (const input of this.givenInputs) this.fixed(this.axes(input), reason);
    return this.node.outputs.map((value) => (value ? this.#findings.axesOf(value.name).map(() => null) : []));
  }

  /** Axes that cannot shrink, for an output that carries no lanes. */
  plain(output: number): LaneAxis[] {
    return this.node.outputs[output] ? this.outputSizes(output).map(() => null) : [];
  }

  /** The node sums over an axis of an input. */
  contract(input: number, axis: number): void {
    this.#findings.contractions.push({ node: this.node, input: this.#place(input), axis });
  }

  tag(axis: LaneAxis, tag: LaneTag): void {
    this.#findings.tag(axis, tag);
  }

  /** What has to be changed in the node when something is removed. */
  onRemoval(change: (edit: GraphEdit) => void): void {
    this.#findings.changes.push(change);
  }
}
