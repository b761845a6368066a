import { clone } from '@bufbuild/protobuf';
import { isFloatDtype } from '../core/dtype.ts';
import type { KeptPositions } from '../formats/gather.ts';
import { elementCount } from '../formats/model.ts';
import {
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../formats/onnx/tensor-data.ts';
import { freePrefix, innerGraphs, isStandard } from '../graph/proto-walk.ts';
import type { StoredTensor } from '../graph/weights/constants.ts';

/** Initial states, masks and scales have no more; a weight that layers share has to stay one. */
const MAX_ELEMENTS = 4096;

/**
 * Gives every node of a graph, and of the graphs inside it, a copy of its own of the small float constants of its graph that several read, and of the constants that are
 * made in a shape, such as the zeros that stacked LSTMs start from: one tensor would tie the nodes' structures together. Matrices that are shared are left alone where
 * they are weights.
 * @param weights tensors that stay one
 * @returns what copies were made of, by the copies' names
 */
export function separateConstants(
  main: GraphProto,
  weights: ReadonlySet<StoredTensor>,
): ReadonlyMap<string, string> {
  const prefix = freePrefix(main, 'copy_');
  const copies = new Map<string, string>();
  const copyName = (name: string) => {
    const copy = `${prefix}${copies.size}_${name}`;
    copies.set(copy, name);
    return copy;
  };
  for (const graph of [main, ...innerGraphs(main.node)]) {
    separateTensors(graph, weights, copyName);
    separateMade(graph, copyName);
  }
  return copies;
}

/**
 * Makes one again of the tensors of which the same is kept, in all graphs.
 * @param copies as `separateConstants` returned them
 */
export function joinConstants(
  main: GraphProto,
  copies: ReadonlyMap<string, string>,
  kept: ReadonlyMap<TensorProto, KeptPositions>,
): void {
  for (const graph of [main, ...innerGraphs(main.node)]) {
    const first = new Map<string, string>();
    const joined = new Map<string, string>();
    for (const tensor of graph.initializer) {
      const { name } = tensor;
      const left = JSON.stringify([copies.get(name) ?? name, kept.get(tensor) ?? []]);
      const known = first.get(left);
      if (known === undefined) first.set(left, name);
      else joined.set(name, known);
    }
    graph.initializer = graph.initializer.filter(({ name }) => !joined.has(name));
    for (const node of graph.node) node.input = node.input.map((name) => joined.get(name) ?? name);
  }
}

function separateTensors(
  graph: GraphProto,
  weights: ReadonlySet<StoredTensor>,
  copyName: (name: string) => string,
): void {
  const small = new Map(
    graph.initializer
      .filter((tensor) => isFloatDtype(dtypeOf(tensor)) && !weights.has(tensor))
      .filter((tensor) => {
        const count = elementCount(parseShape(tensor.dims, tensor.name));
        return count > 1 && count <= MAX_ELEMENTS;
      })
      .map((tensor) => [tensor.name, tensor]),
  );
  for (const { node, input } of laterReads(graph, small)) {
    const tensor = small.get(node.input[input]);
    if (tensor === undefined) continue;
    const copy = clone(TensorProtoSchema, tensor);
    copy.name = copyName(tensor.name);
    graph.initializer.push(copy);
    node.input[input] = copy.name;
  }
}

function separateMade(graph: GraphProto, copyName: (name: string) => string): void {
  const makers = new Map(
    graph.node
      .filter((node) => node.opType === 'ConstantOfShape' && isStandard(node))
      .map((node) => [node.output[0], node]),
  );
  const behind = new Map<NodeProto, NodeProto[]>();
  for (const { node, input } of laterReads(graph, makers)) {
    const maker = makers.get(node.input[input]);
    if (maker === undefined) continue;
    const copy = clone(NodeProtoSchema, maker);
    copy.name = copyName(maker.name);
    copy.output = [copyName(maker.output[0])];
    behind.set(maker, [...(behind.get(maker) ?? []), copy]);
    node.input[input] = copy.output[0];
  }
  graph.node = graph.node.flatMap((node) => [node, ...(behind.get(node) ?? [])]);
}

/** Where values are read by a graph's own nodes, but for the first time each. */
function laterReads(graph: GraphProto, values: ReadonlyMap<string, unknown>) {
  const read = new Set<string>();
  const later: { node: NodeProto; input: number }[] = [];
  for (const node of graph.node) {
    for (const [input, name] of node.input.entries()) {
      if (!values.has(name)) continue;
      if (read.has(name)) later.push({ node, input });
      read.add(name);
    }
  }
  return later;
}
