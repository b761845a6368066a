import { clone } from '@bufbuild/protobuf';
import { EmpError } from '../core/errors.ts';
import type { ModelFiles } from '../formats/model.ts';
import { homeOf } from '../formats/onnx/external-data.ts';
import { loadTensor } from '../formats/onnx/load-tensor.ts';
import { type ModelProto, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { constantsToInitializers } from '../graph/passes/constants-to-initializers.ts';
import { dropDefaults } from '../graph/passes/drop-defaults.ts';
import { inlineFunctions } from '../graph/passes/inline-functions.ts';
import { type GraphPass, runPasses } from '../graph/passes/pass.ts';
import { skipExperts } from '../graph/passes/skip-experts.ts';
import { widenBfloat16 } from '../graph/passes/widen-bfloat16.ts';
import { MAKES_ZEROS_SINCE, zeroWeights } from '../graph/passes/zero-weights.ts';
import { heldTensors, mainGraph } from '../graph/proto-walk.ts';
import type { StoredTensor } from '../graph/weights/constants.ts';

/** Of all tensors that are kept together: tables of integers, and the weights of old models. */
const MAX_KEPT_BYTES = 256 * 2 ** 20;

/** One graph, which stores constants as initializers, has to be fed all its inputs, and runs on the CPU. */
const WHOLE_FORM: readonly GraphPass[] = [
  inlineFunctions,
  constantsToInitializers,
  dropDefaults,
  skipExperts,
];

/** A model that computes the sizes and integers of another without its weights. */
export interface ZeroedModel {
  /** Whole and small: no Constant nodes, no functions but odd ones, no inputs that have defaults. */
  readonly proto: ModelProto;
  /** What the main graph stores, by name; weights as they were in the skeleton. */
  readonly stored: ReadonlyMap<string, StoredTensor>;
  /** Values of the main graph that may differ from the model's: weights, which are zeros, and the outputs of nodes with weights inside. */
  readonly zeroed: readonly string[];
}

/**
 * A private copy of a model in which the large tensors of floats and bytes are zeros that are made when they are needed (before opset 9 they are what they
 * were), and bfloat16 is float32. Everything else is read from `files`, external data too.
 * @throws EmpError malformed_onnx, missing_file; unsupported_model where more than 256 MiB of numbers have to be kept, and for functions without end
 */
export async function createZeroedModel(
  model: OnnxModel,
  files: ModelFiles,
  signal: AbortSignal,
): Promise<ZeroedModel> {
  const proto = clone(ModelProtoSchema, model.proto);
  proto.trainingInfo = [];
  runPasses(proto, WHOLE_FORM, null);
  const graph = mainGraph(proto);
  const stored = new Map<string, StoredTensor>([
    ...graph.initializer.map((tensor): [string, StoredTensor] => [tensor.name, tensor]),
    ...graph.sparseInitializer.map((sparse): [string, StoredTensor] => [sparse.values?.name ?? '', sparse]),
  ]);
  const zeroed = zeroWeights(proto);
  await loadTensors(proto, files, signal);
  widenBfloat16(proto);
  return { proto, stored, zeroed };
}

async function loadTensors(proto: ModelProto, files: ModelFiles, signal: AbortSignal): Promise<void> {
  const home = homeOf(files);
  let byteLength = 0;
  for (const { tensor } of heldTensors(proto)) {
    signal.throwIfAborted();
    byteLength += await loadTensor(tensor, home);
    if (byteLength <= MAX_KEPT_BYTES) continue;
    const message = `its integers, and before opset ${MAKES_ZEROS_SINCE} its weights, take more than ${MAX_KEPT_BYTES / 2 ** 20} MiB`;
    throw new EmpError(
      'unsupported_model',
      `the model is too large to learn the shapes of its values: ${message}`,
      [{ path: home.file, message }],
    );
  }
}
