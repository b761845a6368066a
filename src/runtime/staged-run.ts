import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { isFloatDtype } from '../core/dtype.ts';
import { openFiles } from '../formats/file-source.ts';
import { type Fetched, isNumberType, present } from '../formats/numbers.ts';
import { type ModelProto, ModelProtoSchema, ValueInfoProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { leaveOutPayload } from '../formats/onnx/payload.ts';
import { dtypeOf } from '../formats/onnx/tensor-data.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { checkAppendable } from '../graph/appendix.ts';
import { GraphBuilder } from '../graph/graph-builder.ts';
import { nodesBehind, partOf } from '../graph/graph-part.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import { placeTensors } from '../graph/passes/place-tensors.ts';
import { freePrefix, heldTensors, mainGraph } from '../graph/proto-walk.ts';
import { ownValuesRead } from '../graph/reads.ts';
import { type Batch, readBatches, runBatch } from './batches.ts';
import type { ModelRun } from './model-run.ts';
import { type Feeds, type ModelSession, openSession } from './session.ts';

/** A model and its graph. */
export interface ReadModel extends StoredModel {
  readonly model: OnnxModel;
}

export interface StagedRunContext extends Omit<ModelRun, 'model'> {
  readonly samples: SampleSet;
  /** Samples of a batch; the same in every stage. */
  readonly batchSize: number;
  /** Of what one stage hands on to the next, all samples together; half a gigabyte unless given. */
  readonly maxKeptBytes?: number;
}

/** What a batch gives, in one stage. */
export interface StageResults {
  /** Without what the samples are. */
  readonly batch: Pick<Batch, 'start' | 'count' | 'order'>;
  readonly results: ReadonlyMap<string, Fetched>;
}

const MAX_KEPT_BYTES = 2 ** 29;

/**
 * Runs the samples through a model part by part: all of them up to some values, then from there on to others. The stored tensors may be changed in between. What later parts read is kept in memory; where it is
 * too much, or no tensor of numbers, the next part begins where the last one did. All parts together count as one pass over the samples.
 */
export class StagedRun {
  readonly #model: ReadModel;
  readonly #context: StagedRunContext;
  readonly #stages: readonly (readonly OnnxValue[])[];
  /** Those that any stage needs, by a value that they read. */
  readonly #readers = new Map<OnnxValue, OnnxNode[]>();
  /** The last stage that goes up to a value. */
  readonly #lastStage: ReadonlyMap<OnnxValue, number>;
  /** Stages, and nodes that they need. */
  readonly #size: number;
  readonly #done = new Set<OnnxNode>();
  /** Dtypes of what has been kept. */
  #kept = new Map<OnnxValue, string>();
  /** By batch. */
  readonly #batches: Map<string, Fetched>[] = [];
  #next = 0;

  /**
   * @param stages values of the main graph, by name, that each stage goes up to
   * @throws EmpError as `checkAppendable`
   */
  constructor(model: ReadModel, stages: readonly (readonly string[])[], context: StagedRunContext) {
    checkAppendable(model.model);
    const { graph } = model.model;
    this.#model = model;
    this.#context = context;
    this.#stages = stages.map((names) => names.map((name) => graph.resolve(name)));
    const needed = nodesBehind(this.#stages.flat(), () => false);
    this.#lastStage = new Map(this.#stages.flatMap((values, i) => values.map((value) => [value, i])));
    this.#size = stages.length + needed.size;
    for (const node of needed) {
      for (const value of new Set(ownValuesRead(node))) {
        const readers = this.#readers.get(value) ?? [];
        readers.push(node);
        this.#readers.set(value, readers);
      }
    }
  }

  /**
   * Runs the next stage, batch by batch.
   * @param append adds nodes that read its values, and returns the outputs to fetch
   * @param feeds what the added inputs are fed
   * @throws EmpError as `openSession` and `runBatch`
   */
  async *next(
    append: (builder: GraphBuilder) => readonly string[],
    feeds: (batch: Pick<Batch, 'start' | 'count' | 'order'>) => Feeds,
  ): AsyncGenerator<StageResults> {
    const { samples, batchSize, scratchDirectory, runtime, signal } = this.#context;
    const { maxKeptBytes = MAX_KEPT_BYTES } = this.#context;
    const wanted = this.#stages[this.#next++];
    const nodes = nodesBehind(wanted, (value) => this.#kept.has(value));
    const left = this.#leftAfter(nodes);
    const given = new Map([...this.#kept].map(([{ name }, dtype]) => [name, dtype]));
    const part = partOf(this.#model.model, nodes, wanted, given);
    const inputs = new Set(mainGraph(part).input.map(({ name }) => name));
    await using scratch = await makeScratchFolder(scratchDirectory, 'stage-');
    await this.#place(part, scratch.path);
    const fetches = this.#append(part, append);
    const made = [...left].filter((value) => !this.#kept.has(value)).map(({ name }) => name);
    for (const name of made) {
      if (!fetches.includes(name)) mainGraph(part).output.push(create(ValueInfoProtoSchema, { name }));
    }
    const path = join(scratch.path, 'stage.onnx');
    await writeFile(path, toBinary(ModelProtoSchema, part));
    await using session = await openSession(path, runtime);
    let isKeeping = hasNumbers(session, made);
    const dtypes = new Map<string, string>();
    let index = 0;
    for await (const batch of readBatches(ofInputs(samples, inputs), batchSize, signal)) {
      const { start, count, order } = batch;
      const former = this.#batches[index] ?? new Map();
      const used = [...former].filter(([name]) => inputs.has(name));
      const fed = new Map([...batch.feeds, ...used, ...feeds({ start, count })]);
      const asked = new Set([...fetches, ...(isKeeping ? made : [])]);
      const results = await runBatch(session, { ...batch, feeds: fed }, [...asked]);
      if (isKeeping) {
        const kept = new Map(
          [...left].map(({ name }) => [name, present(results.get(name) ?? former.get(name))]),
        );
        if (index === 0) isKeeping = (bytesOf(kept) / count) * samples.nSamples <= maxKeptBytes;
        if (isKeeping) this.#batches[index] = kept;
        for (const [name, { dtype }] of kept) dtypes.set(name, dtype);
      }
      yield { batch: { start, count, order }, results };
      this.#context.onSamples((count * (1 + nodes.size)) / this.#size);
      index++;
    }
    if (!isKeeping) return;
    for (const node of nodes) this.#done.add(node);
    this.#kept = new Map([...left].map((value) => [value, dtypes.get(value.name) ?? '']));
  }

  /** The values that later stages read of what is there once `nodes` have been run. */
  #leftAfter(nodes: ReadonlySet<OnnxNode>): Set<OnnxValue> {
    const isLeft = (value: OnnxValue) =>
      (this.#lastStage.get(value) ?? 0) >= this.#next ||
      (this.#readers.get(value) ?? []).some((node) => !this.#done.has(node) && !nodes.has(node));
    const made = [...nodes].flatMap(({ outputs }) => outputs.filter((value) => value !== null));
    return new Set([...this.#kept.keys(), ...made].filter(isLeft));
  }

  #append(part: ModelProto, append: (builder: GraphBuilder) => readonly string[]): readonly string[] {
    const { proto, opset } = this.#model.model;
    return append(new GraphBuilder(mainGraph(part), freePrefix(mainGraph(proto), 'emp_'), opset, 'nodes'));
  }

  async #place(part: ModelProto, directory: string): Promise<void> {
    const { signal } = this.#context;
    await using opened = new AsyncDisposableStack();
    const files = await openFiles(this.#model.directory, this.#model.inventory.files, opened);
    // Small ones are in the graph that was read, as they were then.
    for (const { tensor } of heldTensors(part)) if (isFloatDtype(dtypeOf(tensor))) leaveOutPayload(tensor);
    await placeTensors(part, { model: this.#model, files, directory, floats: 'as stored', signal });
  }
}

/** The samples without inputs that are not asked for, which are not read then. */
function ofInputs(samples: SampleSet, names: ReadonlySet<string>): SampleSet {
  const { inputs, constants = [] } = samples;
  const isAsked = ({ name }: { readonly name: string }) => names.has(name);
  return { ...samples, inputs: inputs.filter(isAsked), constants: constants.filter(isAsked), labels: null };
}

/** Whether outputs are what can be held here, and fed again. */
function hasNumbers({ outputs }: ModelSession, names: readonly string[]): boolean {
  const numbers = new Set(outputs.flatMap(({ name, dtype }) => (isNumberType(dtype) ? [name] : [])));
  return names.every((name) => numbers.has(name));
}

function bytesOf(values: ReadonlyMap<string, Fetched>): number {
  return [...values.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
}
