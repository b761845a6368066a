import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { type FileSource, openFileSource } from '../formats/file-source.ts';
import { type ModelProto, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { nameStoredTensors, readOnnxModel } from '../graph/onnx-inventory.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { unrollModel } from '../graph/program.ts';
import { type HeldTensor, heldTensors } from '../graph/proto-walk.ts';
import { constantsToInitializers } from './constant-nodes.ts';
import { declareFloat32 } from './float32.ts';
import { inlineFunctions } from './inline-functions.ts';
import { upgradeOpset } from './opset-upgrade.ts';
import { type Placement, TensorPlacer } from './place-tensors.ts';

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
  /** Holds `files`, one of them the `.onnx` file. */
  readonly modelDirectory: string;
  readonly files: readonly string[];
  /** Gets links to the model's files, or copies where links are not possible, and what had to be converted. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/**
 * Prepares a model for differentiation. Weights are not copied unless they are no float32, or inside loops and branches.
 * @throws EmpError malformed_onnx, missing_file, unsupported_model
 */
export async function prepareModel(context: PrepareContext): Promise<PreparedModel> {
  const { modelDirectory, directory, signal } = context;
  await using opened = new AsyncDisposableStack();
  const files = new Map<string, FileSource>();
  for (const file of context.files) {
    files.set(file, opened.use(await openFileSource(join(modelDirectory, file))));
  }
  const stored = await readOnnxModel(files);
  const { proto } = stored;
  const { graph } = proto;
  if (graph === undefined) throw new TypeError('a model without a graph');
  const names = nameStoredTensors(stored);
  unrollModel(stored); // refuses functions without end
  inlineFunctions(proto);

  await mkdir(directory, { recursive: true });
  const onnxFile = context.files.find((file) => file.endsWith('.onnx')) ?? '';
  const placer = opened.use(new TensorPlacer(modelDirectory, files, onnxFile, directory, signal));
  await placeTensors(proto, placer);
  constantsToInitializers(graph);
  const opset = upgradeOpset(proto);
  const widened = declareFloat32(proto);
  const defaults = new Set(graph.initializer.map(({ name }) => name));
  graph.input = graph.input.filter(({ name }) => !defaults.has(name)); // nobody feeds them, and as constants they are faster
  return {
    directory,
    proto,
    model: new OnnxModel(proto),
    opset,
    weights: new Map(
      graph.initializer.flatMap((tensor): [string, string][] => {
        const name = names.get(tensor);
        return name === undefined ? [] : [[name, tensor.name]];
      }),
    ),
    widenedInputs: widened.filter((name) => !defaults.has(name)),
  };
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

/** Inner graphs come first: a tensor that the main graph shares with one has to be where inner graphs may have it. */
async function placeTensors(model: ModelProto, placer: TensorPlacer): Promise<void> {
  model.trainingInfo = [];
  for (const held of heldTensors(model)) await placer.place(held.tensor, placementOf(held));
}

function placementOf({ as, within }: HeldTensor): Placement {
  if (within === 'function' || as === 'part' || as === 'attribute') return 'inline';
  return within === 'inner' ? 'copied' : 'linked';
}
