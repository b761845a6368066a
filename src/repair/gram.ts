import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { elementCount } from '../formats/model.ts';
import type { Fetched } from '../formats/numbers.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { GraphAppendix, writeAppended } from '../graph/appendix.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { type Batch, chooseBatchSize, nameSamples, readBatches, runBatch } from '../runtime/batches.ts';
import { type ModelSession, openSession } from '../runtime/session.ts';
import { appendActivations, appendGrams, type GramGraph, type GramRequest } from './gram-graph.ts';
import type { RepairContext } from './repair-context.ts';

/** Sums over all samples, positions and places; X the inputs of one group of the layer, a row for each position. */
export interface Grams {
  /** `Xp' Xp`, `[groups, pruned features, pruned features]`. */
  readonly gram: Float64Array;
  /** `Xp' Xd`, `[groups, pruned features, dense features]`. */
  readonly cross: Float64Array;
  /** `Xp' 1` of each place that shares the weight, `[groups, places, pruned features]`. */
  readonly sums: Float64Array;
}

/** A model and its graph. */
export interface ReadModel extends StoredModel {
  readonly model: OnnxModel;
}

/**
 * Runs the samples through both models, batch by batch, and adds up the products of the layers' inputs inside the pruned model's graph, in float64. The dense model's inputs of the layers
 * are fed to it; inputs are float32 as they come, whatever the model's dtype.
 * @returns in the order of `requests`
 * @throws EmpError non_finite_activation naming the weight and the samples, and what `openSession` and `chooseBatchSize` throw
 */
export async function accumulateGrams(
  dense: ReadModel,
  pruned: ReadModel,
  requests: readonly GramRequest[],
  context: RepairContext,
): Promise<Grams[]> {
  const { scratchDirectory, samples, signal } = context;
  await using scratch = await makeScratchFolder(scratchDirectory, 'grams-');
  await using opened = new AsyncDisposableStack();
  const open = async (model: ReadModel, appendix: GraphAppendix, name: string) =>
    opened.use(await openAppended(model, appendix, join(scratch.path, name), context));
  const denseAppendix = new GraphAppendix(dense.model);
  const outputs = appendActivations(denseAppendix, requests);
  const denseSession = await open(dense, denseAppendix, 'dense');
  const appendix = new GraphAppendix(pruned.model);
  const graphs = requests.map((request) => appendGrams(appendix, request));
  const session = await open(pruned, appendix, 'pruned');

  const fetches = [...outputs.values()];
  const sizes = patchSizes(requests);
  const bytesOf = (results: ReadonlyMap<string, Fetched>) =>
    [...outputs].reduce(
      (sum, [value, output]) => sum + (sizes.get(value) ?? 1) * (results.get(output)?.data.byteLength ?? 0),
      0,
    );
  const own = dense.model.graph.outputs.map(({ name }) => name);
  const batchSize = await chooseBatchSize(denseSession, samples, fetches, signal, bytesOf, own);
  const accumulators = graphs.flatMap(({ gram, cross, sums }) => [gram, cross, sums]);
  let totals = new Map<string, Fetched>(accumulators.map(({ output, shape }) => [output, zeros(shape)]));
  for await (const batch of readBatches(samples, batchSize, signal)) {
    const results = await runBatch(denseSession, batch, fetches);
    const activations = new Map([...outputs].map(([value, output]) => [value, results.get(output)]));
    totals = await addBatch(session, batch, graphs, activations, totals);
    context.onSamples(batch.count);
  }
  return graphs.map(({ gram, cross, sums }) => ({
    gram: numbersOf(totals.get(gram.output)),
    cross: numbersOf(totals.get(cross.output)),
    sums: numbersOf(totals.get(sums.output)),
  }));
}

async function openAppended(
  model: ReadModel,
  appendix: GraphAppendix,
  target: string,
  { runtime }: RepairContext,
): Promise<ModelSession> {
  const path = await writeAppended(model, appendix.toBytes(), target);
  return await openSession(path, runtime);
}

/** How many numbers the layers make of one of each value, by value. */
function patchSizes(requests: readonly GramRequest[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const input of requests.flatMap(({ dense }) => dense.inputs)) {
    const size = input.how === 'rows' ? 1 : elementCount(input.kernel);
    sizes.set(input.value, (sizes.get(input.value) ?? 0) + size);
  }
  return sizes;
}

/** The sums with one batch more, by the outputs of their accumulators. */
async function addBatch(
  session: ModelSession,
  batch: Batch,
  graphs: readonly GramGraph[],
  denseActivations: ReadonlyMap<string, Fetched | undefined>,
  totals: ReadonlyMap<string, Fetched>,
): Promise<Map<string, Fetched>> {
  const feeds = new Map(batch.feeds);
  const feed = (input: string, fed: Fetched | undefined) => {
    if (fed === undefined) throw new TypeError(`nothing to feed ${input} with`);
    feeds.set(input, fed);
  };
  for (const { activations, gram, cross, sums } of graphs) {
    for (const [value, input] of activations) feed(input, denseActivations.get(value));
    for (const { input, output } of [gram, cross, sums]) feed(input, totals.get(output));
  }
  const fetches = graphs.flatMap(({ gram, cross, sums, check }) => [
    gram.output,
    cross.output,
    sums.output,
    check,
  ]);
  const results = await runBatch(session, { ...batch, feeds }, fetches);
  for (const { request, check } of graphs) {
    if (Number.isFinite(results.get(check)?.data[0])) continue;
    const { weight } = request;
    const message = `the products of its layer's inputs are NaN, infinite or too large for ${nameSamples(batch)}`;
    throw new EmpError('non_finite_activation', `${weight}: ${message}`, [{ path: weight, message }]);
  }
  return new Map(results);
}

function zeros(shape: readonly number[]): Fetched {
  return { dtype: 'float64', shape, data: new Float64Array(elementCount(shape)) };
}

function numbersOf(fetched: Fetched | undefined): Float64Array {
  if (fetched?.data instanceof Float64Array) return fetched.data;
  throw new TypeError('sums are float64');
}
