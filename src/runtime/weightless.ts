import { clone, create } from '@bufbuild/protobuf';
import { constantsToInitializers } from '../autodiff/constant-nodes.ts';
import { inlineFunctions } from '../autodiff/inline-functions.ts';
import { isFloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { elementCount, type ModelFiles } from '../formats/model.ts';
import { homeOf } from '../formats/onnx/external-data.ts';
import { loadTensor } from '../formats/onnx/load-tensor.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
} from '../formats/onnx/onnx-schema.ts';
import { dtypeOf, elementBits, parseShape } from '../formats/onnx/tensor-data.ts';
import { GraphBuilder } from '../graph/graph-builder.ts';
import { createNode, createTensor } from '../graph/messages.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { standardOpset } from '../graph/opset.ts';
import { unrollModel } from '../graph/program.ts';
import { freePrefix, heldTensors, innerGraphs } from '../graph/proto-walk.ts';
import type { StoredTensor } from '../graph/weights/constants.ts';

/** Fewer numbers may be what sizes are computed of: scales, strides, anchors. */
const MAX_KEPT_ELEMENTS = 64;
/** Of all tensors that are kept together: tables of integers, and the weights of old models. */
const MAX_KEPT_BYTES = 256 * 2 ** 20;
/** ConstantOfShape is there since. */
const MIN_OPSET = 9;
/** Initializers need not be inputs since, which those of inner graphs never can be. */
const MIN_IR_VERSION = 4n;

/** A model that computes the sizes and integers of another without its weights. */
export interface WeightlessModel {
  /** Whole and small: no Constant nodes, no functions but odd ones, no inputs that have defaults. */
  readonly proto: ModelProto;
  /** What the main graph stores, by name; weights as they were in the skeleton. */
  readonly stored: ReadonlyMap<string, StoredTensor>;
  /** Values of the main graph that may differ from the model's: weights, which are zeros, and the outputs of nodes with weights inside. */
  readonly zeroed: readonly string[];
}

/**
 * A private copy of a model in which the large tensors of floats and bytes are zeros that are made when they are needed (before opset 9 they are what they
 * were). Everything else is read from `files`, external data too.
 * @throws EmpError malformed_onnx, missing_file; unsupported_model where more than 256 MiB of numbers have to be kept, and for functions without end
 */
export async function createWeightless(
  model: OnnxModel,
  files: ModelFiles,
  signal: AbortSignal,
): Promise<WeightlessModel> {
  unrollModel(model); // refuses functions without end
  const proto = clone(ModelProtoSchema, model.proto);
  const { graph } = proto;
  if (graph === undefined) throw new TypeError('a model without a graph');
  proto.trainingInfo = [];
  if (proto.irVersion < MIN_IR_VERSION) proto.irVersion = MIN_IR_VERSION;
  inlineFunctions(proto);
  constantsToInitializers(graph);
  const stored = new Map<string, StoredTensor>([
    ...graph.initializer.map((tensor): [string, StoredTensor] => [tensor.name, tensor]),
    ...graph.sparseInitializer.map((sparse): [string, StoredTensor] => [sparse.values?.name ?? '', sparse]),
  ]);
  graph.input = graph.input.filter(({ name }) => !stored.has(name));
  const zeroed = zeroWeights(graph, standardOpset(proto));
  await loadTensors(proto, files, signal);
  return { proto, stored, zeroed };
}

/** Puts nodes in the place of weights. Returns what of the main graph that changes. */
function zeroWeights(graph: GraphProto, opset: number): string[] {
  if (opset < MIN_OPSET) return [];
  const added = create(GraphProtoSchema);
  const builder = new GraphBuilder(added, freePrefix(graph, 'zero'), opset);
  const zero = (holder: GraphProto): string[] => {
    const last = [...new Map(holder.initializer.map((tensor) => [tensor.name, tensor])).values()];
    const weights = last.filter(isWeight);
    holder.initializer = last.filter((tensor) => !weights.includes(tensor));
    const nodes = weights.map((tensor) =>
      createZeros(tensor, builder.integers(parseShape(tensor.dims, tensor.name))),
    );
    holder.node.unshift(...nodes);
    return weights.map(({ name }) => name);
  };
  const clouded = graph.node.flatMap((node) => {
    const inner = [...innerGraphs([node])].flatMap(zero);
    return inner.length > 0 ? node.output : [];
  });
  const zeroed = zero(graph);
  graph.initializer.push(...added.initializer);
  return [...zeroed, ...clouded];
}

function isWeight(tensor: TensorProto): boolean {
  const dtype = dtypeOf(tensor);
  const isReplaceable = isFloatDtype(dtype) || dtype === 'int8' || dtype === 'uint8';
  return isReplaceable && elementCount(parseShape(tensor.dims, tensor.name)) > MAX_KEPT_ELEMENTS;
}

/** Makes zeros of the tensor's name, type and shape, where `shape` is the name of its shape. */
function createZeros(tensor: TensorProto, shape: string): NodeProto {
  const { name, dataType } = tensor;
  const rawData = new Uint8Array((elementBits(tensor) ?? 0) / 8);
  const value = { tensor: createTensor('', dataType, [1], rawData) };
  return createNode('ConstantOfShape', [shape], [name], { value }, name);
}

async function loadTensors(proto: ModelProto, files: ModelFiles, signal: AbortSignal): Promise<void> {
  const home = homeOf(files);
  let byteLength = 0;
  for (const { tensor } of heldTensors(proto)) {
    signal.throwIfAborted();
    byteLength += await loadTensor(tensor, home);
    if (byteLength <= MAX_KEPT_BYTES) continue;
    const message = `its integers, and before opset ${MIN_OPSET} its weights, take more than ${MAX_KEPT_BYTES / 2 ** 20} MiB`;
    throw new EmpError(
      'unsupported_model',
      `the model is too large to learn the shapes of its values: ${message}`,
      [{ path: home.file, message }],
    );
  }
}
