import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { openFiles } from '../formats/file-source.ts';
import { type ModelProto, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { nameStoredTensors, readOnnxModel } from '../graph/onnx-inventory.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { constantsToInitializers } from '../graph/passes/constants-to-initializers.ts';
import { declareFloat32 } from '../graph/passes/declare-float32.ts';
import { dropDefaults } from '../graph/passes/drop-defaults.ts';
import { gathersToSplit } from '../graph/passes/gathers-to-split.ts';
import { inlineFunctions } from '../graph/passes/inline-functions.ts';
import { type GraphPass, runPasses } from '../graph/passes/pass.ts';
import { placeTensors } from '../graph/passes/place-tensors.ts';
import { expandAttention, takeApart } from '../graph/passes/take-apart.ts';
import { upgradeOpset } from '../graph/passes/upgrade-opset.ts';
import { mainGraph } from '../graph/proto-walk.ts';
import type { StoredTensor } from '../graph/weights/constants.ts';

/** A model in the form that gradient rules read: opset 16 or later, float32 throughout, no Constant nodes, no functions but odd ones. */
export interface PreparedModel {
  /** Where it has to be written, for its large tensors refer to files there. */
  readonly directory: string;
  /** Small, whatever the model's size: meant to be cloned and added to. */
  readonly proto: ModelProto;
  /** The graph of `proto`. */
  readonly model: OnnxModel;
  /** Version of the standard operators. */
  readonly opset: number;
  /** The value that a tensor of the model's inventory is in the main graph. Tensors inside loops and branches have none. */
  readonly weights: ReadonlyMap<string, string>;
  /** Inputs that were float16, bfloat16 or float64, and take float32 here. */
  readonly widenedInputs: readonly string[];
}

export interface PrepareContext {
  readonly model: StoredModel;
  /** Gets links to the model's files, or copies where links are not possible, and what had to be converted. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** What makes the form that rules read of a model whose functions are inlined and whose tensors are placed. */
export const GRADIENT_FORM: readonly GraphPass<{ readonly widenedInputs: string[] }>[] = [
  (model) => takeApart(model, { added: new Set() }),
  constantsToInitializers,
  dropDefaults,
  upgradeOpset,
  expandAttention,
  declareFloat32,
  gathersToSplit,
];

/**
 * Prepares a model for differentiation. Weights are not copied unless they are no float32, or inside loops and branches.
 * @throws EmpError malformed_onnx, missing_file, unsupported_model
 */
export async function prepareModel(context: PrepareContext): Promise<PreparedModel> {
  const { model: stored, directory } = context;
  await using opened = new AsyncDisposableStack();
  const files = await openFiles(stored.directory, stored.inventory.files, opened);
  const read = await readOnnxModel(files);
  const { proto } = read;
  const names = nameStoredTensors(read);
  inlineFunctions(proto);
  await mkdir(directory, { recursive: true });
  await placeTensors(proto, { ...context, files, floats: 'float32' });
  const widenedInputs: string[] = [];
  runPasses(proto, GRADIENT_FORM, { widenedInputs });
  const model = new OnnxModel(proto);
  return { directory, proto, model, opset: model.opset, weights: valuesOf(model, names), widenedInputs };
}

/** The values that tensors are in the main graph, by the names that they have in the inventory. */
export function valuesOf(
  { proto }: OnnxModel,
  names: ReadonlyMap<StoredTensor, string>,
): Map<string, string> {
  return new Map(
    mainGraph(proto).initializer.flatMap((tensor): [string, string][] => {
      const name = names.get(tensor);
      return name === undefined ? [] : [[name, tensor.name]];
    }),
  );
}

/** Writes `proto`, the prepared model or what was made of it, as `<name>.onnx` beside the files that it refers to. Returns its path. */
export async function writePrepared(
  { directory }: PreparedModel,
  proto: ModelProto,
  name: string,
): Promise<string> {
  const path = join(directory, `${name}.onnx`);
  await writeFile(path, toBinary(ModelProtoSchema, proto));
  return path;
}
