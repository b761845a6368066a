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
  const constants = new Set(tensors.keys());
  for (const node of model.graph.nodes) {
    const inputs = node.inputs.filter((input) => input !== null);
    if (node.subgraphs.length > 0 || !inputs.every(({ name }) => constants.has(name))) continue;
    for (const output of node.outputs) if (output) constants.add(output.name);
  }
  const shapesOf = (name: string) => {
    const tensor = tensors.get(name);
    const shape = tensor && parseShape(tensor.dims, name);
    const shapes = shape ? ([shape, shape] as const) : trace.shapesOf(name);
    if (shapes === null) throw new Untraceable(name);
    return shapes;
  };
  return {
    opset: model.opset,
    sizesOf: (name) => shapesOf(name)[0],
    otherSizesOf: (name) => shapesOf(name)[1],
    integersOf: (name) => trace.integersOf(name),
    isFolded: ({ outputs: [output] }) => integers.has(output?.name ?? ''),
    isFloat: (name) => /float/.test(trace.dtypeOf(name) ?? ''),
    isInteger: (name) => /int/.test(trace.dtypeOf(name) ?? 'int'),
    isConstant: (name) => constants.has(name),
  };
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
