import { type GraphProto, type NodeProto, TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { createNode, createTensor, integerTensor } from '../graph/messages.ts';
import { isRepeated, type LaneAxis } from './lanes.ts';

/** A size that follows an open axis of the model: it is computed as before. */
export const OPEN = null;
/** A size that a Reshape finds from all others. */
export const INFERRED = -1;

/** What rules may change in a graph from which structures are removed. */
export class GraphEdit {
  readonly #graph: GraphProto;
  readonly #prefix: string;
  readonly #isRemoved: (axis: LaneAxis, position: number) => boolean;
  readonly #kept = new Map<LaneAxis, readonly number[]>();
  /** Nodes to be put before and behind others. */
  readonly #before = new Map<NodeProto, NodeProto[]>();
  readonly #behind = new Map<NodeProto, NodeProto[]>();
  #names = 0;

  constructor(graph: GraphProto, prefix: string, isRemoved: (axis: LaneAxis, position: number) => boolean) {
    this.#graph = graph;
    this.#prefix = prefix;
    this.#isRemoved = isRemoved;
  }

  /** Positions of an axis that stay, ascending. */
  kept(axis: LaneAxis, size: number): readonly number[] {
    if (axis === null) return Array.from({ length: size }, (_, position) => position);
    const known = this.#kept.get(axis);
    if (known) return known;
    let isKept = true;
    const kept = Array.from(axis[0].keys()).filter((position) => {
      if (!isRepeated(axis, position)) isKept = !this.#isRemoved(axis, position);
      return isKept;
    });
    this.#kept.set(axis, kept);
    return kept;
  }

  /** Whether an axis shrinks. */
  shrinks(axis: LaneAxis): boolean {
    return axis !== null && this.kept(axis, axis[0].length).length < axis[0].length;
  }

  /** Gives an input constant integers: a vector, where no shape is given. */
  setInput(node: NodeProto, input: number, values: readonly number[], shape = [values.length]): void {
    while (node.input.length <= input) node.input.push('');
    node.input[input] = this.#integers(values, shape);
  }

  /** Gives an input some of its positions along an axis alone. */
  pickInput(node: NodeProto, input: number, axis: number, positions: readonly number[]): void {
    const picked = this.#fresh('picked');
    const indices = this.#integers(positions, [positions.length]);
    this.#put(node, input, createNode('Gather', [node.input[input], indices], [picked], { axis }, picked));
  }

  /** Gives an input as many of its first positions along an axis as another input has there. */
  cutInput(node: NodeProto, input: number, axis: number, like: number): void {
    const [sizes, size, cut] = ['sizes', 'size', 'cut'].map((hint) => this.#fresh(hint));
    const along = this.#integers([axis], [1]);
    this.#put(
      node,
      input,
      createNode('Shape', [node.input[like]], [sizes], {}, sizes),
      createNode('Gather', [sizes, along], [size], {}, size),
      createNode('Slice', [node.input[input], this.#integers([0], [1]), size, along], [cut], {}, cut),
    );
  }

  /** Puts nodes before another one, an input of which is what the last of them gives. */
  #put(node: NodeProto, input: number, ...nodes: NodeProto[]): void {
    this.#before.set(node, [...(this.#before.get(node) ?? []), ...nodes]);
    node.input[input] = nodes[nodes.length - 1].output[0];
  }

  /** Gives an input sizes. */
  setSizes(node: NodeProto, input: number, sizes: readonly (number | typeof OPEN)[]): void {
    if (!sizes.includes(OPEN)) {
      this.setInput(node, input, sizes.map(Number));
      return;
    }
    const where = this.#fill(node.input[input], sizes, this.#fresh('sizes'));
    this.#put(node, input, where);
  }

  /** Gives the first output, a vector, sizes: whoever reads it reads these. */
  setOutputSizes(node: NodeProto, sizes: readonly (number | typeof OPEN)[]): void {
    const found = this.#fresh('sizes');
    const where = this.#fill(found, sizes, node.output[0]);
    this.#behind.set(node, [where, ...(this.#behind.get(node) ?? [])]);
    node.output[0] = found;
  }

  /** Puts the sizes that are given in the place of those found. */
  #fill(found: string, sizes: readonly (number | typeof OPEN)[], output: string): NodeProto {
    const isGiven = this.#booleans(sizes.map((size) => size !== OPEN));
    const given = sizes.map((size) => size ?? 0);
    const inputs = [isGiven, this.#integers(given, [given.length]), found];
    return createNode('Where', inputs, [output], {}, this.#fresh('fill'));
  }

  /** Puts the nodes in their places. */
  finish(): void {
    this.#graph.node = this.#graph.node.flatMap((node) => [
      ...(this.#before.get(node) ?? []),
      node,
      ...(this.#behind.get(node) ?? []),
    ]);
  }

  #fresh(hint: string): string {
    return `${this.#prefix}${this.#names++}_${hint}`;
  }

  #integers(values: readonly number[], shape: readonly number[]): string {
    const name = this.#fresh('integers');
    this.#graph.initializer.push(integerTensor(name, values, shape));
    return name;
  }

  #booleans(values: readonly boolean[]): string {
    const name = this.#fresh('given');
    const { BOOL } = TensorProto_DataType;
    this.#graph.initializer.push(createTensor(name, BOOL, [values.length], Uint8Array.from(values, Number)));
    return name;
  }
}
