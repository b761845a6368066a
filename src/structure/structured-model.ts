import { clone } from '@bufbuild/protobuf';
import { type FileSource, openFiles } from '../formats/file-source.ts';
import type { KeptPositions } from '../formats/gather.ts';
import type { ModelInventory } from '../formats/model.ts';
import { type ModelProto, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { rewriteModel } from '../formats/onnx/rewrite-model.ts';
import { nameStoredTensors, readOnnxModel } from '../graph/onnx-inventory.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { inlineFunctions } from '../graph/passes/inline-functions.ts';
import { type EditedInputs, joinConstants } from '../graph/passes/join-constants.ts';
import { listsToTensors } from '../graph/passes/lists-to-tensors.ts';
import { type GraphPass, runPasses } from '../graph/passes/pass.ts';
import { type SeparatedConstants, separateConstants } from '../graph/passes/separate-constants.ts';
import { shareWeights } from '../graph/passes/share-weights.ts';
import { sinkConstants } from '../graph/passes/sink-constants.ts';
import type { ModelRun } from '../runtime/model-run.ts';
import { analyseGraphs, findAllStructures, removeFromGraphs } from './analysed-graphs.ts';
import type { Structures } from './families.ts';
import { type GraphTrace, traceGraph } from './graph-trace.ts';
import type { ReducedModel, ReducibleModel } from './reducible-model.ts';

/** Functions become one graph, in which a weight is one value; what a single branch reads stands in it, and nodes share no small constants. */
const STRUCTURE_FORM: readonly GraphPass<SeparatedConstants>[] = [
  inlineFunctions,
  listsToTensors,
  shareWeights,
  sinkConstants,
  separateConstants,
];

/**
 * Brings a model into the form that structures are found in. Changes its proto.
 * @returns what copies of constants were made of, by the copies' names
 * @throws EmpError what the passes throw
 */
export function prepareGraph(model: OnnxModel, { tensors }: ModelInventory): ReadonlyMap<string, string> {
  const roles = new Map(tensors.map(({ name, role }) => [name, role]));
  const named = [...nameStoredTensors(model)].filter(([, name]) => roles.get(name) === 'weight');
  const context = { weights: new Set(named.map(([stored]) => stored)), copies: new Map<string, string>() };
  runPasses(model.proto, STRUCTURE_FORM, context);
  return context.copies;
}

/** An ONNX model whose structures are known, to be written without some of them. Its weights are never in memory. */
export class StructuredModel implements ReducibleModel {
  readonly structures: Structures;
  readonly #proto: ModelProto;
  /** Constants that were made several, by the copies' names. */
  readonly #copies: ReadonlyMap<string, string>;
  /** What the inventory calls stored tensors, by the value that they are in each graph. */
  readonly #names: readonly ReadonlyMap<string, string>[];
  readonly #trace: GraphTrace;
  readonly #opened: AsyncDisposableStack;
  readonly #files: ReadonlyMap<string, FileSource>;

  private constructor(
    structures: Structures,
    proto: ModelProto,
    copies: ReadonlyMap<string, string>,
    names: readonly ReadonlyMap<string, string>[],
    trace: GraphTrace,
    files: ReadonlyMap<string, FileSource>,
    opened: AsyncDisposableStack,
  ) {
    this.structures = structures;
    this.#proto = proto;
    this.#copies = copies;
    this.#names = names;
    this.#trace = trace;
    this.#files = files;
    this.#opened = opened;
  }

  /**
   * Finds the structures of a model by running its graph twice, without its weights.
   * @throws EmpError malformed_onnx, missing_file; unsupported_model for a model that does not run
   */
  static async open(run: Pick<ModelRun, 'model' | 'runtime' | 'signal'>): Promise<StructuredModel> {
    const { directory, inventory } = run.model;
    await using opened = new AsyncDisposableStack();
    const files = await openFiles(directory, inventory.files, opened);
    const stored = await readOnnxModel(files);
    const { proto } = stored;
    const names = nameStoredTensors(stored);
    const copies = prepareGraph(stored, inventory);
    const untouched = clone(ModelProtoSchema, proto);
    const model = new OnnxModel(proto);
    const trace = await traceGraph(model, { ...run, files });
    const analysed = analyseGraphs(model, trace);
    const structures = findAllStructures(analysed, inventory, names);
    const values = analysed.graphs.map(
      ({ analysis }) =>
        new Map([...analysis.stored].map(([value, tensor]) => [value, names.get(tensor) ?? value])),
    );
    return new StructuredModel(structures, untouched, copies, values, trace, files, opened.move());
  }

  /**
   * Writes the model without some structures: smaller tensors, shape arithmetic that follows, and no code that nothing reads any more.
   * @param removed roots of structures
   * @param isEdited what nodes that shared it before are not to share again
   * @returns the files written to `targetDirectory`, and what is left of every tensor that shrank
   */
  async write(
    removed: ReadonlySet<number>,
    targetDirectory: string,
    signal: AbortSignal,
    isEdited: EditedInputs,
  ): Promise<ReducedModel> {
    // The same graph falls into the same roots.
    const proto = clone(ModelProtoSchema, this.#proto);
    const analysed = analyseGraphs(new OnnxModel(proto), this.#trace);
    const kept = removeFromGraphs(analysed, removed);
    joinConstants(proto, { copies: this.#copies, kept, isEdited });
    const files = await rewriteModel(proto, this.#files, kept, targetDirectory, signal);
    const named = analysed.graphs.flatMap(({ analysis }, index) =>
      [...analysis.stored].flatMap(([value, tensor]): [string, KeptPositions][] => {
        const positions = kept.get(tensor);
        return positions ? [[this.#names[index].get(value) ?? value, positions]] : [];
      }),
    );
    return { files, kept: new Map(named) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened[Symbol.asyncDispose]();
  }
}
