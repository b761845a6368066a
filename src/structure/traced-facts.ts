import type { TensorProto } from '../formats/onnx/onnx-schema.ts';
import { parseShape } from '../formats/onnx/tensor-data.ts';
import type { ShapeTrace } from '../graph/observed-values.ts';
import type { OnnxGraph, OnnxModel } from '../graph/onnx-model.ts';
import type { KnownIntegers } from '../graph/passes/fold-integers.ts';
import { type GraphFacts, Untraceable } from './structure-rule.ts';

/**
 * What rules are told of a graph's values.
 * @param tensors what the graph stores, by the value that it is
 * @param integers as `knownIntegers` found them
 */
export function createFacts(
  model: OnnxModel,
  trace: ShapeTrace,
  tensors: ReadonlyMap<string, TensorProto>,
  integers: ReadonlyMap<string, KnownIntegers>,
): GraphFacts {
  const shapesOf = (name: string) => {
    const tensor = tensors.get(name);
    const shape = tensor && parseShape(tensor.dims, name);
    const shapes = shape ? ([shape, shape] as const) : trace.shapesOf(name);
    if (shapes === null) throw new Untraceable(name);
    return shapes;
  };
  const weights = madeOfWeights(model.graph, trace, tensors);
  return {
    opset: model.opset,
    sizesOf: (name) => shapesOf(name)[0],
    otherSizesOf: (name) => shapesOf(name)[1],
    integersOf: (name) => trace.integersOf(name),
    isFolded: ({ outputs: [output] }) => integers.has(output?.name ?? ''),
    isFloat: (name) => /float/.test(trace.dtypeOf(name) ?? ''),
    isInteger: (name) => /int/.test(trace.dtypeOf(name) ?? 'int'),
    isActivation: (name) => !weights.has(name),
  };
}

/** Operators that take some of their first input, where others say. */
const LOOKUPS: ReadonlySet<string> = new Set(['Gather', 'GatherND', 'GatherElements']);
/** What is looked up in tables of fewer axes are vectors, such as embeddings: numbers that a model computes with, not by. */
const MATRICES = 3;

/** Values that are made of what the model stores alone, and of stored matrices those that are picked for a sample, as a router picks experts. */
function madeOfWeights(
  { nodes }: OnnxGraph,
  trace: ShapeTrace,
  tensors: ReadonlyMap<string, TensorProto>,
): ReadonlySet<string> {
  const found = new Set(tensors.keys());
  const picked = new Set<string>();
  const isIndex = (name: string) => /int(32|64)/.test(trace.dtypeOf(name) ?? '');
  for (const node of nodes) {
    const names = node.inputs.flatMap((input) => input?.name ?? []);
    const [data] = names;
    const isLookup = LOOKUPS.has(node.op) && (trace.shapesOf(data)?.[0].length ?? 0) >= MATRICES;
    const isPicked = names.some((name) => picked.has(name)) || (isLookup && found.has(data));
    const isMade = (name: string) => found.has(name) || (isPicked && isIndex(name));
    if (node.subgraphs.length > 0 || !names.every(isMade)) continue;
    for (const output of node.outputs) {
      if (output === null) continue;
      found.add(output.name);
      if (isPicked) picked.add(output.name);
    }
  }
  return found;
}

/** Outputs of nodes that compute only integers (int64) which are the same whatever the model is fed, and none of its outputs. */
export function knownIntegers(graph: OnnxGraph, trace: ShapeTrace): Map<string, KnownIntegers> {
  const known = new Map<string, KnownIntegers>();
  for (const node of graph.nodes) {
    const found = node.outputs.map((output): [string, KnownIntegers] | null => {
      if (output === null || graph.gives(output) || trace.dtypeOf(output.name) !== 'int64') return null;
      const [values, shapes] = [trace.integersOf(output.name), trace.shapesOf(output.name)];
      return values?.every(isExact) && shapes ? [output.name, { shape: shapes[0], values }] : null;
    });
    for (const entry of found.includes(null) ? [] : found) if (entry) known.set(...entry);
  }
  return known;
}

/** Beyond 2^53 numbers are rounded; the largest of all stands for the end of an axis. */
function isExact(value: number): boolean {
  return Number.isSafeInteger(value) || Math.abs(value) === 2 ** 63;
}
