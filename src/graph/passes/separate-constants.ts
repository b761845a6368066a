import { clone } from '@bufbuild/protobuf';
import { isFloatDtype } from '../../core/dtype.ts';
import { elementCount } from '../../formats/model.ts';
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../../formats/onnx/tensor-data.ts';
import { MAX_GLUED } from '../free-names.ts';
import { allGraphs, freePrefix, isStandard, mainGraph } from '../proto-walk.ts';
import { isQuantizedSlot } from '../quantized-slots.ts';
import type { StoredTensor } from '../weights/constants.ts';

/** Initial states, masks and scales have no more; a weight that layers share has to stay one. */
const MAX_ELEMENTS = 4096;
/** Each takes a kilobyte or more; what is shared beyond ties structures together, which is sound. */
const MAX_COPIES = 50_000;

/** What is to stay one, and what was made several. */
export interface SeparatedConstants {
  /** Tensors that stay one. */
  readonly weights: ReadonlySet<StoredTensor>;
  /** What copies were made of, by the copies' names: filled by the pass. */
  readonly copies: Map<string, string>;
}

/**
 * Gives every node of the main graph, and of the graphs inside it, a copy of its own of the small constants of its graph, floats and quantized numbers, that several read, and of the constants that are
 * made in a shape, such as the zeros that stacked LSTMs start from: one tensor would tie the nodes' structures together. Requires nothing; what
 * Constant nodes hold stays shared. Ensures that two nodes share such a constant only where it is a weight, or there are some 50,000 copies. `joinConstants` undoes it.
 */
export function separateConstants(model: ModelProto, { weights, copies }: SeparatedConstants): void {
  const prefix = freePrefix(mainGraph(model), 'copy_');
  const mayCopy = () => copies.size < MAX_COPIES;
  const copyName = (name: string) => {
    const copy = `${prefix}${copies.size}_${name.length > MAX_GLUED ? '' : name}`;
    copies.set(copy, name);
    return copy;
  };
  for (const graph of allGraphs(model)) {
    separateTensors(graph, weights, copyName, mayCopy);
    separateMade(graph, copyName, mayCopy);
  }
}

function separateTensors(
  graph: GraphProto,
  weights: ReadonlySet<StoredTensor>,
  copyName: (name: string) => string,
  mayCopy: () => boolean,
): void {
  const quantized = readQuantized(graph);
  const small = new Map(
    graph.initializer
      .filter((tensor) => isFloatDtype(dtypeOf(tensor)) || quantized.has(tensor.name))
      .filter((tensor) => !weights.has(tensor))
      .filter((tensor) => {
        const count = elementCount(parseShape(tensor.dims, tensor.name));
        return count > 1 && count <= MAX_ELEMENTS;
      })
      .map((tensor) => [tensor.name, tensor]),
  );
  for (const { node, input, read: tensor } of laterReads(graph, small)) {
    if (!mayCopy()) return;
    const copy = clone(TensorProtoSchema, tensor);
    copy.name = copyName(tensor.name);
    graph.initializer.push(copy);
    node.input[input] = copy.name;
  }
}

/** Names that all nodes of a graph read as quantized numbers or zero points: quantizers keep equal ones once. */
function readQuantized(graph: GraphProto): Set<string> {
  const [quantized, others] = [new Set<string>(), new Set<string>()];
  for (const node of graph.node) {
    for (const [input, name] of node.input.entries())
      (isQuantizedSlot(node, input) ? quantized : others).add(name);
  }
  return quantized.difference(others);
}

function separateMade(graph: GraphProto, copyName: (name: string) => string, mayCopy: () => boolean): void {
  const makers = new Map(
    graph.node
      .filter((node) => node.opType === 'ConstantOfShape' && isStandard(node))
      .map((node) => [node.output[0], node]),
  );
  const behind = new Map<NodeProto, NodeProto[]>();
  for (const { node, input, read: maker } of laterReads(graph, makers)) {
    if (!mayCopy()) break;
    const copy = clone(NodeProtoSchema, maker);
    copy.name = copyName(maker.name);
    copy.output = [copyName(maker.output[0])];
    const copies = behind.get(maker) ?? [];
    copies.push(copy);
    behind.set(maker, copies);
    node.input[input] = copy.output[0];
  }
  graph.node = graph.node.flatMap((node) => [node, ...(behind.get(node) ?? [])]);
}

/** Where values are read by a graph's own nodes, but for the first time each. */
function laterReads<T>(graph: GraphProto, values: ReadonlyMap<string, T>) {
  const seen = new Set<string>();
  const later: { node: NodeProto; input: number; read: T }[] = [];
  for (const node of graph.node) {
    for (const [input, name] of node.input.entries()) {
      const read = values.get(name);
      if (read === undefined) continue;
      if (seen.has(name)) later.push({ node, input, read });
      seen.add(name);
    }
  }
  return later;
}
