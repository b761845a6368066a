import { create } from '@bufbuild/protobuf';
import type { Fetched } from '../../formats/numbers.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from '../../formats/onnx/onnx-schema.ts';
import { dataTypeOf } from '../../formats/onnx/tensor-data.ts';
import { modelInputs, type OnnxInput } from '../interface.ts';
import { createTensor, declareTensor } from '../messages.ts';
import { isHeld, type ObservedTrace, type SeenInput, type SteadyValue } from '../observed-values.ts';
import { isFunction, type OnnxGraph, OnnxModel, type OnnxValue } from '../onnx-model.ts';
import { capturedValues } from '../reads.ts';

/** A branch of an If as a model of its own, with the branch's nodes in their order. */
export interface StandaloneBranch {
  readonly model: OnnxModel;
  /** What each of its inputs was where the model around it ran, by name. */
  readonly seen: ReadonlyMap<string, SeenInput>;
}

/**
 * Cuts a branch out of the graph around it. Requires two runs of that graph. Ensures a model that stores what the branch reads from there and is the same in both runs, and is
 * fed all else; `model` stays as it is, and what can be is shared with it. Null where something that the branch reads is no tensor of numbers, or has sizes that are not known:
 * the runs held an open axis, which the branch that they took may have asked for and this one not.
 * @param model whose main graph is around the branch
 * @param outer what two runs say of that graph
 */
export function standaloneBranch(
  model: OnnxModel,
  branch: OnnxGraph,
  outer: ObservedTrace,
): StandaloneBranch | null {
  if (isFunction(branch.proto) || branch.proto.input.length > 0) return null;
  const { name, node, output, initializer, sparseInitializer } = branch.proto;
  const parts = { initializer: [...initializer], sparseInitializer: [...sparseInitializer] };
  const graph = create(GraphProtoSchema, { name, node, output, ...parts });
  const inputs = modelInputs(model);
  const declared = new Map(inputs.map((input) => [input.name, input]));
  const unknown = inputs.some((input) => isHeld(input, outer.shapesOf(input.name)))
    ? madeOfInputs(model.graph)
    : new Set();
  const seen = new Map<string, SeenInput>();
  for (const value of capturedValues(branch)) {
    if (unknown.has(value)) return null;
    const { name } = value;
    const values = outer.steadyOf(name);
    if (store(graph, name, outer, values)) continue;
    const [shapes, dtype] = [outer.shapesOf(name), dataTypeOf(outer.dtypeOf(name) ?? '')];
    if (shapes === null || dtype === null) return null;
    graph.input.push(declare(name, dtype, shapes, declared.get(name)));
    seen.set(name, { shapes, values });
  }
  const proto = create(ModelProtoSchema, { ...model.proto, graph, trainingInfo: [] });
  return { model: new OnnxModel(proto), seen };
}

/** Values that nodes compute of inputs, be it of their sizes alone. */
function madeOfInputs({ inputs, nodes }: OnnxGraph): Set<OnnxValue> {
  const made = new Set<OnnxValue>();
  const given = new Set(inputs);
  const isMade = (value: OnnxValue | null) => value !== null && (given.has(value) || made.has(value));
  for (const node of nodes) {
    const captured = node.subgraphs.flatMap(({ graph }) => capturedValues(graph));
    if (![...node.inputs, ...captured].some(isMade)) continue;
    for (const output of node.outputs) if (output) made.add(output);
  }
  return made;
}

/** Whether a value is known, and then stored. */
function store(graph: GraphProto, name: string, outer: ObservedTrace, values: SteadyValue | null): boolean {
  const stored = outer.storedOf(name);
  if (stored?.$typeName === 'onnx.TensorProto') graph.initializer.push(stored);
  else if (stored) graph.sparseInitializer.push(stored);
  else if (values && isSame(...values)) graph.initializer.push(tensorOf(name, values[0]));
  else return false;
  return true;
}

function isSame(first: Fetched, second: Fetched): boolean {
  const isSameShape = first.shape.join() === second.shape.join();
  return isSameShape && first.data.every((value, index) => Object.is(value, second.data[index]));
}

function tensorOf(name: string, { dtype, shape, data }: Fetched): TensorProto {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return createTensor(name, dataTypeOf(dtype) ?? 0, shape, rawData);
}

/** An axis is open where the model says so or the runs do; those that had the same sizes have one name. */
function declare(
  name: string,
  elemType: number,
  [first, second]: SeenInput['shapes'],
  declared: OnnxInput | undefined,
): ValueInfoProto {
  const dims = first.map((size, axis) => {
    const isFixed = size === second[axis] && (!declared || typeof declared.dims?.[axis] === 'number');
    return isFixed ? size : `open ${size} ${second[axis]}`;
  });
  return declareTensor(name, elemType, dims);
}
