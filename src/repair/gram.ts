import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { elementCount } from '../formats/model.ts';
import type { Fetched } from '../formats/numbers.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { GraphAppendix, writeAppended } from '../graph/appendix.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import {
  type Batch,
  chooseBatchSize,
  fixedBatchSize,
  nameSamples,
  readBatches,
  readFirstBatch,
  runBatch,
} from '../runtime/batches.ts';
import { type ModelSession, openSession } from '../runtime/session.ts';
import {
  appendDenseRows,
  appendGrams,
  type DenseRows,
  type GramGraph,
  type GramRequest,
} from './gram-graph.ts';
import { countPositions, drawPositions, patchIndices } from './patch-positions.ts';
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

/** Positions of convolutions that are looked at, together: for each feature so many, and never fewer than these. More make the fit hardly better. */
const ROWS_PER_FEATURE = 8;
const MIN_ROWS = 4096;

/**
 * Runs the samples through both models, batch by batch, and adds up the products of the layers' inputs inside the pruned model's graph, in float64. The rows of the dense model's inputs
 * are fed to it; inputs are float32 as they come, whatever the model's dtype. Of a convolution with many more positions than features some are drawn, the same in both models, anew for
 * every batch; which ones depends on the model and the data alone.
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
  const denseRows = requests.map((request) => appendDenseRows(denseAppendix, request));
  const denseSession = await open(dense, denseAppendix, 'dense');
  const appendix = new GraphAppendix(pruned.model);
  const graphs = requests.map((request) => appendGrams(appendix, request));
  const session = await open(pruned, appendix, 'pruned');

  const draw = await samplePatches(denseSession, requests, denseRows, context);
  const fetches = denseRows.flat().map(({ rows }) => rows);
  const own = dense.model.graph.outputs.map(({ name }) => name);
  const batchSize = await chooseBatchSize(
    tellPatches(denseSession, draw(0), denseRows),
    samples,
    fetches,
    signal,
    undefined,
    own,
  );
  const accumulators = graphs.flatMap(({ gram, cross, sums }) => [gram, cross, sums]);
  let totals = new Map<string, Fetched>(accumulators.map(({ output, shape }) => [output, zeros(shape)]));
  for await (const batch of readBatches(samples, batchSize, signal)) {
    const drawn = draw(batch.start);
    const rows = await runBatch(tellPatches(denseSession, drawn, denseRows), batch, fetches);
    const feeds = new Map(batch.feeds);
    for (const [i, { places }] of graphs.entries()) {
      for (const [place, { denseRows: input, patches }] of places.entries()) {
        feeds.set(input, present(rows.get(denseRows[i][place].rows)));
        if (patches) feeds.set(patches.indices, present(drawn[i][place]));
      }
    }
    totals = await addBatch(session, { ...batch, feeds }, graphs, totals);
    context.onSamples(batch.count);
  }
  return graphs.map(({ gram, cross, sums }) => ({
    gram: numbersOf(totals.get(gram.output)),
    cross: numbersOf(totals.get(cross.output)),
    sums: numbersOf(totals.get(sums.output)),
  }));
}

/** Where patches are taken in a batch, by request and place; undefined where rows are taken as they are. */
type DrawnPatches = readonly (readonly (Fetched | undefined)[])[];

/** The dense model, told where patches are taken. */
function tellPatches(
  session: ModelSession,
  drawn: DrawnPatches,
  denseRows: readonly (readonly DenseRows[])[],
): Pick<ModelSession, 'inputs' | 'outputs' | 'run'> {
  const places = denseRows.flatMap((ofRequest, request) =>
    ofRequest.flatMap(({ patches }, place): [string, Fetched][] => {
      const indices = drawn[request][place];
      return patches && indices ? [[patches.indices, indices]] : [];
    }),
  );
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    run: (feeds, fetches) => session.run(new Map([...feeds, ...places]), fetches),
  };
}

/**
 * Runs the first samples once, for the sizes of what patches are taken of.
 * @returns draws for the batch that begins with a sample
 */
async function samplePatches(
  session: ModelSession,
  requests: readonly GramRequest[],
  denseRows: readonly (readonly DenseRows[])[],
  { samples, signal, rowsPerFeature = ROWS_PER_FEATURE }: RepairContext,
): Promise<(start: number) => DrawnPatches> {
  const patched = denseRows.flat().filter(({ patches }) => patches !== null);
  const batch = await readFirstBatch(samples, fixedBatchSize(session.inputs, samples) ?? 1, signal);
  const feeds = new Map(batch.feeds);
  for (const { patches } of patched) {
    const places = patches ? elementCount(patches.input.window.kernel) : 0;
    if (patches) feeds.set(patches.indices, int64(new BigInt64Array(places)));
  }
  const shapes = new Map<string, readonly number[]>();
  if (patched.length > 0) {
    const outputs = patched.flatMap(({ sizes }) => sizes ?? []);
    const results = await runBatch(session, { ...batch, feeds }, outputs);
    for (const output of outputs) shapes.set(output, Array.from(present(results.get(output)).data, Number));
  }
  return (start) =>
    denseRows.map((places, request) =>
      places.map(({ patches, sizes }) => {
        if (patches === null) return undefined;
        const [images, , ...spatial] = shapes.get(sizes ?? '') ?? [];
        const { window } = patches.input;
        const { dense, pruned } = requests[request];
        const wanted = Math.max(MIN_ROWS, rowsPerFeature * Math.max(dense.features, pruned.features));
        const total = countPositions(window, spatial);
        const nImages = (images / batch.count) * samples.nSamples * places.length;
        const positions = drawPositions(total, Math.ceil(wanted / nImages), start);
        return int64(patchIndices(window, spatial, positions));
      }),
    );
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

/** The sums with one batch more, by the outputs of their accumulators. */
async function addBatch(
  session: ModelSession,
  batch: Batch,
  graphs: readonly GramGraph[],
  totals: ReadonlyMap<string, Fetched>,
): Promise<Map<string, Fetched>> {
  const feeds = new Map(batch.feeds);
  for (const { gram, cross, sums } of graphs)
    for (const { input, output } of [gram, cross, sums]) feeds.set(input, present(totals.get(output)));
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

function present(fetched: Fetched | undefined): Fetched {
  if (fetched === undefined) throw new TypeError('an output that was not fetched');
  return fetched;
}

function int64(data: BigInt64Array<ArrayBuffer>): Fetched {
  return { dtype: 'int64', shape: [data.length], data };
}

function zeros(shape: readonly number[]): Fetched {
  return { dtype: 'float64', shape, data: new Float64Array(elementCount(shape)) };
}

function numbersOf(fetched: Fetched | undefined): Float64Array {
  if (fetched?.data instanceof Float64Array) return fetched.data;
  throw new TypeError('sums are float64');
}
