import type { ModelProto, TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { isFunction, type OnnxGraph, OnnxModel, type OnnxValue } from '../onnx-model.ts';
import { allGraphs } from '../proto-walk.ts';
import { capturedValues } from '../reads.ts';
import { BRANCH_INITIALIZERS_SINCE } from './initializers-to-constants.ts';

/**
 * Moves initializers that a single branch of an If reads into it: exporters store the weights of all branches in the main graph. Requires nothing; does nothing where
 * branches cannot have initializers. Ensures that what a branch alone reads stands in it, but for tensors whose name occurs in several graphs.
 */
export function sinkConstants(model: ModelProto): void {
  if (model.irVersion < BRANCH_INITIALIZERS_SINCE) return;
  const counts = new Map<string, number>();
  for (const { initializer, node } of allGraphs(model)) {
    const names = [...initializer.map(({ name }) => name), ...node.flatMap(({ output }) => output)];
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  // The inventory tells tensors of one name apart by where they stand.
  sink(new OnnxModel(model).graph, [], (value) => counts.get(value.name) === 1);
}

/** @param received what was moved into the graph */
function sink(
  graph: OnnxGraph,
  received: readonly OnnxValue[],
  canMove: (value: OnnxValue) => boolean,
): void {
  const branches = graph.nodes
    .filter((node) => node.is('If'))
    .flatMap(({ subgraphs }) => subgraphs.map((inner) => inner.graph));
  if (branches.length === 0) return;
  const readers = readersIn(graph);
  const moved = new Map(branches.map((branch): [OnnxGraph, OnnxValue[]] => [branch, []]));
  for (const value of [...graph.initializers, ...received].filter(canMove)) {
    const [reader = null, ...others] = readers.get(value) ?? [];
    if (reader !== null && others.length === 0) moved.get(reader)?.push(value);
  }
  move(moved, graph);
  for (const [branch, values] of moved) sink(branch, values, canMove);
}

/** The branches that read a value; null among them where anything else in the graph does. */
function readersIn(graph: OnnxGraph): Map<OnnxValue, Set<OnnxGraph | null>> {
  const readers = new Map<OnnxValue, Set<OnnxGraph | null>>();
  const read = (value: OnnxValue | null, reader: OnnxGraph | null) => {
    if (value) readers.set(value, (readers.get(value) ?? new Set()).add(reader));
  };
  for (const value of [...graph.inputs, ...graph.outputs]) read(value, null);
  for (const node of graph.nodes) {
    for (const value of node.inputs) read(value, null);
    for (const inner of node.subgraphs) {
      for (const value of capturedValues(inner.graph)) read(value, node.is('If') ? inner.graph : null);
    }
  }
  return readers;
}

/** Moves initializers of a graph into its branches. */
function move(moved: ReadonlyMap<OnnxGraph, readonly OnnxValue[]>, { proto: from }: OnnxGraph): void {
  const targets = new Map<string, TensorProto[]>();
  for (const [{ proto: to }, values] of moved) {
    if (isFunction(to)) continue;
    for (const { name } of values) targets.set(name, to.initializer);
  }
  if (isFunction(from) || targets.size === 0) return;
  const staying: TensorProto[] = [];
  for (const tensor of from.initializer) (targets.get(tensor.name) ?? staying).push(tensor);
  from.initializer = staying;
}
