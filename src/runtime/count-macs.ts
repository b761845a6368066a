import { create, toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../core/errors.ts';
import { openFiles } from '../formats/file-source.ts';
import type { ModelFiles } from '../formats/model.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
} from '../formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { sizedByContent } from '../graph/content-sizes.ts';
import { modelInputs, type OnnxInput } from '../graph/interface.ts';
import {
  countMultiplying,
  findMultiplications,
  type Multiplication,
  valuesMultiplied,
} from '../graph/macs/multiplications.ts';
import { nameStoredTensors, readOnnxModel } from '../graph/onnx-inventory.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { inlineFunctions } from '../graph/passes/inline-functions.ts';
import { takenApart } from '../graph/passes/take-apart.ts';
import { mainGraph } from '../graph/proto-walk.ts';
import { shapeOfStored } from '../graph/weights/constants.ts';
import { type Batch, fixedBatchSize, readFirstBatch } from './batches.ts';
import type { ModelRun } from './model-run.ts';
import { findSampleAxes } from './sample-axes.ts';
import { openSession, UNOPTIMIZED } from './session.ts';
import { inferValues, NO_TENSOR, type OpenModel, ValueObserver } from './value-observer.ts';
import { createZeroedModel, type ZeroedModel } from './zeroed-model.ts';

/** What a model multiplies and accumulates for one sample. */
export interface ModelMacs {
  /** The shapes that the counts hold for: those of one sample. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** In the graph's order. */
  readonly layers: readonly LayerMacs[];
  /** Of all layers; null where one could not be counted. */
  readonly total: number | null;
  /** Why the total is null. */
  readonly reason: string | null;
}

/** A node that multiplies. */
export interface LayerMacs {
  readonly name: string;
  /** Behind its domain where it is no standard one. */
  readonly operator: string;
  /** The value that the node gives, which is called the same in a pruned model. */
  readonly output: string;
  /** Null where they could not be counted. */
  readonly macs: number | null;
  readonly reason: string | null;
  /** Each with the weights that it multiplies by; empty where they could not be counted. */
  readonly products: readonly { readonly macs: number; readonly weights: readonly string[] }[];
}

type MacsContext = Pick<ModelRun, 'model' | 'runtime' | 'signal'>;
type Shapes = ReadonlyMap<string, readonly number[]>;

/** More nodes than any model has that people run; onnxruntime's time grows faster than their number. */
const MAX_NODES = 50_000;
/** Likewise of those that multiply. */
const MAX_LAYERS = 5000;

/** What a model that cannot be opened or run says. */
const UNCOUNTABLE: ReadonlySet<string> = new Set([
  ...['unsupported_model', 'model_run_failed', 'limit_exceeded', 'missing_file', 'samples_mismatch'],
]);

/**
 * Counts the multiply-accumulates of a stored model for one sample, layer by layer; its weights are not read. Sizes that onnxruntime does not infer from those of the inputs are seen in a run, on the first of the
 * samples and with zeros for weights. Without samples nothing is run, and all axes of the inputs but that of the samples must be fixed.
 * @param samples of which the first is taken; null for none
 * @returns counts that are null, with the reason, where that does not tell them
 * @throws EmpError malformed_onnx; the signal's reason
 */
export async function countMacs(context: MacsContext, samples: SampleSet | null): Promise<ModelMacs> {
  const { format } = context.model.inventory;
  if (format !== 'onnx') return uncounted(`a ${format} file holds no graph`);
  try {
    return await count(context, samples);
  } catch (error) {
    if (!(error instanceof EmpError) || !UNCOUNTABLE.has(error.code)) throw error;
    return uncounted(error.message);
  }
}

async function count(context: MacsContext, samples: SampleSet | null): Promise<ModelMacs> {
  const { model: stored, signal } = context;
  await using opened = new AsyncDisposableStack();
  const files = await openFiles(stored.directory, stored.inventory.files, opened);
  const read = await readOnnxModel(files);
  const roles = new Map(stored.inventory.tensors.map(({ name, role }) => [name, role]));
  const names = new Map([...nameStoredTensors(read)].filter(([, name]) => roles.get(name) === 'weight'));
  inlineFunctions(read.proto);
  const model = new OnnxModel(read.proto);
  const { length } = model.graph.nodes;
  if (length > MAX_NODES)
    return uncounted(`the model has ${length} nodes, of more than ${MAX_NODES} none are counted`);
  const multiplying = countMultiplying(model);
  if (multiplying > MAX_LAYERS)
    return uncounted(`${multiplying} nodes multiply, of more than ${MAX_LAYERS} none are counted`);
  const inputs = modelInputs(model);
  const batch = samples && (await firstBatch(inputs, samples, signal));
  const shapes = batch === null ? fixedShapes(inputs) : shapesFed(batch);
  if (typeof shapes === 'string') return uncounted(shapes);
  const known = await findShapes(model, shapes, batch, { ...context, files });
  const layers = findMultiplications(model, names, (name) => known.get(name) ?? null);
  return summarize(layers, samples === null ? shapes : shapesOfOne(shapes, samples), batch?.count ?? 1);
}

/** As many of the samples as the model takes at a time; one where any number will do. */
async function firstBatch(
  inputs: readonly OnnxInput[],
  samples: SampleSet,
  signal: AbortSignal,
): Promise<Batch> {
  const unlabelled = { ...samples, labels: null };
  return await readFirstBatch(unlabelled, fixedBatchSize(inputs, samples) ?? 1, signal);
}

function shapesFed({ feeds }: Batch): Shapes {
  return new Map([...feeds].map(([name, { shape }]) => [name, shape]));
}

/** The sizes that inputs declare, for one sample where they leave the number of samples open; a text says which others they leave open. */
function fixedShapes(inputs: readonly OnnxInput[]): Shapes | string {
  const axes = findSampleAxes(inputs);
  const shapes = new Map<string, readonly number[]>();
  for (const { name, dims } of inputs) {
    if (dims === null) return `input ${JSON.stringify(name)} does not say how many axes it has`;
    const shape = dims.map((size, axis) => (axis === axes.get(name) && typeof size !== 'number' ? 1 : size));
    const open = shape.findIndex((size) => typeof size !== 'number');
    if (open >= 0)
      return `axis ${open} of input ${JSON.stringify(name)} has no fixed size, and there are no data in use to give it one: evaluation data do`;
    shapes.set(name, shape as number[]);
  }
  return shapes;
}

function shapesOfOne(shapes: Shapes, { inputs }: SampleSet): Shapes {
  const axes = new Map(inputs.map(({ name, axis = 0 }) => [name, axis]));
  return new Map(
    [...shapes].map(([name, shape]) => [
      name,
      shape.map((size, axis) => (axis === axes.get(name) ? 1 : size)),
    ]),
  );
}

/** The sizes of what multiplying nodes take and give, as far as they are known, by name. */
async function findShapes(
  model: OnnxModel,
  shapes: Shapes,
  batch: Batch | null,
  { files, runtime, signal }: MacsContext & { readonly files: ModelFiles },
): Promise<Map<string, readonly number[]>> {
  const { proto, stored }: ZeroedModel = await createZeroedModel(model, files, signal);
  fixInputs(proto, shapes);
  const known = new Map<string, readonly number[]>(shapes);
  for (const [name, tensor] of stored) known.set(name, shapeOfStored(tensor, name));
  const computed = new Set(mainGraph(proto).node.flatMap(({ output }) => output));
  const wanted = [...valuesMultiplied(model)].filter((name) => !known.has(name) && computed.has(name));
  if (wanted.length === 0) return known;
  const open: OpenModel = (made) => openSession(toBinary(ModelProtoSchema, made), runtime, UNOPTIMIZED);
  const inferred = await inferValues(proto, wanted, open);
  for (const name of wanted) {
    const dims = inferred.get(name)?.dims ?? [];
    if (dims.length > 0 && dims.every((size) => typeof size === 'number')) known.set(name, dims as number[]);
  }
  const isTensor = (name: string) => (inferred.get(name)?.dtype ?? NO_TENSOR) !== NO_TENSOR;
  const unknown = wanted.filter((name) => !known.has(name) && isTensor(name));
  if (batch === null || unknown.length === 0) return known;
  // Fused nodes are known by their parts, and the proto is needed no more. Numbers decide on sizes here that are not those of other samples.
  const content = sizedByContent(takenApart(model).graph);
  const steady = unknown.filter((name) => !content.has(name));
  if (steady.length === 0) return known;
  await using observer = await ValueObserver.open(proto, steady, [], open);
  for (const [name, shape] of (await observer.run(batch.feeds)).shapes) known.set(name, shape);
  return known;
}

/** Changes the model. */
function fixInputs(model: ModelProto, shapes: Shapes): void {
  for (const { name, type } of mainGraph(model).input) {
    const shape = shapes.get(name);
    if (type?.value.case !== 'tensorType' || shape === undefined) continue;
    const dim = shape.map((size) =>
      create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(size) } }),
    );
    type.value.value.shape = create(TensorShapeProtoSchema, { dim });
  }
}

/** @param samples that went through the model together */
function summarize(found: readonly Multiplication[], shapes: Shapes, samples: number): ModelMacs {
  const layers = found.map(({ node, products }): LayerMacs => {
    const told = { name: node.label, operator: node.qualifiedOp, output: node.outputs[0]?.name ?? '' };
    if (typeof products === 'string') return { ...told, macs: null, reason: products, products: [] };
    const each = products.map(({ macs, weights }) => ({ macs: macs / samples, weights }));
    return { ...told, macs: sumOf(each), reason: null, products: each };
  });
  const odd = layers.find(({ macs }) => macs === null);
  return {
    inputs: [...shapes].map(([name, shape]) => ({ name, shape })),
    layers,
    total: odd ? null : sumOf(layers),
    reason: odd ? `node ${odd.name} (${odd.operator}) ${odd.reason}` : null,
  };
}

function sumOf(counts: readonly { readonly macs: number | null }[]): number {
  return Math.round(counts.reduce((sum, { macs }) => sum + (macs ?? 0), 0));
}

function uncounted(reason: string): ModelMacs {
  return { inputs: [], layers: [], total: null, reason };
}
