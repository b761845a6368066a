import { create } from '@bufbuild/protobuf';
import type { KeptPositions } from '../formats/gather.ts';
import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorShapeProto_DimensionSchema,
} from '../formats/onnx/onnx-schema.ts';
import { createNode, createTensor, integerTensor } from '../graph/messages.ts';
import { foldIntegers } from '../graph/passes/fold-integers.ts';
import { removeDeadCode } from '../graph/passes/remove-dead-code.ts';
import { freePrefix, mainGraph } from '../graph/proto-walk.ts';
import type { GraphAnalysis } from './analysis.ts';
import { type GraphEdit, OPEN } from './graph-edit.ts';
import type { LaneAxis } from './lanes.ts';

/**
 * Removes structures from the graph that was analysed: changes its proto, and returns what stays of every stored tensor that shrinks.
 * @param removed roots of the analysis's lanes
 * @param prefix of the names of what is new, which no graph around this one has either
 */
export function removeStructures(
  { model, lanes, axesOf, changes, stored, integers }: GraphAnalysis,
  removed: ReadonlySet<number>,
  prefix?: string,
): Map<TensorProto, KeptPositions> {
  const graph = mainGraph(model.proto);
  const edit = new Removal(graph, prefix ?? freePrefix(graph, 'pruned_'), (axis, position) =>
    lanes.rootsAt(axis, position).some((root) => removed.has(root)),
  );
  // Integers that followed from shapes stay what they were: what has to follow the new shapes is changed below.
  foldIntegers(model.proto, { integers });
  for (const change of changes) change(edit);
  edit.finish();
  const kept = new Map<TensorProto, KeptPositions>();
  for (const [name, tensor] of stored) {
    const axes = axesOf(name);
    if (!axes.some((axis) => edit.shrinks(axis))) continue;
    const positions = axes.map((axis, i) => edit.kept(axis, Number(tensor.dims[i])));
    kept.set(
      tensor,
      positions.map((each, i) => (edit.shrinks(axes[i]) ? each : null)),
    );
    declareSizes(
      graph,
      name,
      positions.map(({ length }) => length),
    );
  }
  graph.valueInfo = []; // what it says of shapes is no longer true
  removeDeadCode(model.proto);
  return kept;
}

/** Old models list their tensors among the inputs too. */
function declareSizes(graph: GraphProto, name: string, sizes: readonly number[]): void {
  const type = graph.input.find((input) => input.name === name)?.type?.value;
  if (type?.case !== 'tensorType' || !type.value.shape) return;
  type.value.shape.dim = sizes.map((size) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(size) } }),
  );
}

class Removal implements GraphEdit {
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

  kept(axis: LaneAxis, size: number): readonly number[] {
    if (axis === null) return Array.from({ length: size }, (_, position) => position);
    const known = this.#kept.get(axis);
    if (known) return known;
    const kept = Array.from(axis[0].keys()).filter((position) => !this.#isRemoved(axis, position));
    this.#kept.set(axis, kept);
    return kept;
  }

  shrinks(axis: LaneAxis): boolean {
    return axis !== null && this.kept(axis, axis[0].length).length < axis[0].length;
  }

  setInput(node: NodeProto, input: number, values: readonly number[], isScalar = false): void {
    while (node.input.length <= input) node.input.push('');
    node.input[input] = this.#integers(values, isScalar ? [] : [values.length]);
  }

  setSizes(node: NodeProto, input: number, sizes: readonly (number | typeof OPEN)[]): void {
    if (!sizes.includes(OPEN)) {
      this.setInput(node, input, sizes.map(Number));
      return;
    }
    const where = this.#fill(node.input[input], sizes, this.#fresh('sizes'));
    this.#before.set(node, [...(this.#before.get(node) ?? []), where]);
    node.input[input] = where.output[0];
  }

  setOutputSizes(node: NodeProto, sizes: readonly (number | typeof OPEN)[]): void {
    const found = this.#fresh('sizes');
    const where = this.#fill(found, sizes, node.output[0]);
    this.#behind.set(node, [where, ...(this.#behind.get(node) ?? [])]);
    node.output[0] = found;
  }

  /** Puts the sizes that are given in the place of those found. */
  #fill(found: string, sizes: readonly (number | typeof OPEN)[], output: string): NodeProto {
    const isGiven = this.#booleans(sizes.map((size) => size !== OPEN));
    const given = this.#integers(
      sizes.map((size) => size ?? 0),
      [sizes.length],
    );
    return createNode('Where', [isGiven, given, found], [output], {}, this.#fresh('fill'));
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
