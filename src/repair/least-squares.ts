import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { splitPasses } from '../runtime/split-passes.ts';
import { isStoredAsFloats } from './editable-tensors.ts';
import {
  describeLayers,
  type FittableLayer,
  findFittableLayers,
  fromMatrix,
  toMatrix,
} from './fittable-layers.ts';
import { accumulateGrams, type Grams, type ReadModel } from './gram.ts';
import type { GramRequest } from './gram-graph.ts';
import { placedBiases } from './layer-biases.ts';
import type { LeftOut, RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { nodesOfPlaces, repairOrder } from './repair-order.ts';
import { RowSolver } from './row-solver.ts';
import { readNumbers, type TensorEdits } from './tensor-edits.ts';

/** Of the mean of the Gram matrix's diagonal: what holds weights where they are that the data say little of. */
const DAMPING = 0.01;
/** What one pass over the samples adds up. */
const MAX_GRAM_BYTES = 2 ** 29;
/** Weights solved for at a time. */
const MAX_ROW_ELEMENTS = 2 ** 22;

/** A layer as it is in both models. */
interface LayerPair {
  readonly dense: FittableLayer;
  readonly pruned: FittableLayer;
  /** Of the dense layer, in the pruned one's order; null for all. */
  readonly keptUnits: readonly number[] | null;
  /** What each place adds, which another repair may have changed; null where it adds no stored bias. */
  readonly biases: readonly (BiasPair | null)[];
}

/** A bias as it is called in both models: the pruned one may have a copy of its own of what layers of the dense one share. */
interface BiasPair {
  readonly dense: string;
  readonly pruned: string;
  /** By which it is multiplied before it is added, relative to the layer's product. */
  readonly factor: number;
}

/**
 * Gives the kept weights `w'` of every output unit of the pruned layers the values that minimise `|Xp w' - Xd w|^2 + damping |w' - w|^2`: Xd the inputs of the dense layer and w its weights, Xp what comes in
 * now that the layers before it are repaired, over all samples and positions; of a convolution the patches that its filters see, at enough of its positions. What another repair has given the bias of each place is taken off `Xd w`. Weights
 * that are zero stay zero, biases as they are. One pass over the samples, with both models, for each layer on the longest way through the graph.
 * @throws EmpError as `accumulateGrams`; non_finite_activation where the products leave no finite weights
 */
export async function repairByLeastSquares(context: RepairContext, edits: TensorEdits): Promise<RepairWork> {
  const { scratchDirectory, runtime } = context;
  const dense = await readModel(context.dense);
  const pruned = await readModel(context.pruned);
  const { pairs, leftOut } = pairLayers(dense, pruned, context.keptUnits);
  if (pairs.length === 0) return { nRepaired: 0, leftOut };
  await using solver = await RowSolver.open(scratchDirectory, runtime);
  for (const level of repairOrder(pruned.model.graph, pairs, (pair) => nodesOfPlaces(pair.pruned))) {
    for (const pass of passesOver(level)) {
      const requests = pass.map(([pair]) => requestOf(pair));
      const grams = await accumulateGrams(dense, pruned, requests, context);
      for (const [i, sharing] of pass.entries()) {
        for (const pair of sharing) await solveLayer(pair, grams[i], solver, context, edits);
      }
    }
  }
  return { nRepaired: pairs.length, leftOut };
}

export function planLeastSquares(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): RepairPlan {
  const { found, leftOut } = findFittableLayers(model, inventory, weights);
  const nPasses = repairOrder(model.graph, found, nodesOfPlaces).length;
  return { nRepaired: found.length, leftOut, nPasses };
}

async function readModel(stored: StoredModel): Promise<ReadModel> {
  return { ...stored, model: await readStoredGraph(stored) };
}

function pairLayers(
  dense: ReadModel,
  pruned: ReadModel,
  keptUnits: RepairContext['keptUnits'],
): { pairs: LayerPair[]; leftOut: LeftOut[] } {
  const weights = [...keptUnits.keys()];
  const { found, leftOut } = findFittableLayers(pruned.model, pruned.inventory, weights);
  const denseLayers = describeLayers(dense.model, dense.inventory, weights);
  const biases = pairBiases(dense, pruned, weights);
  const pairs: LayerPair[] = [];
  const unpaired: LeftOut[] = [];
  for (const layer of found) {
    const { weight: name, groups, places } = layer;
    const counterpart = denseLayers.get(name);
    const kept = keptUnits.get(name) ?? null;
    if (typeof counterpart !== 'object' || counterpart.places.length !== places.length)
      unpaired.push({ name, reason: 'has no counterpart in the dense model' });
    else if (groups !== counterpart.groups || (groups > 1 && kept !== null))
      unpaired.push({ name, reason: 'has groups of which parts are gone' });
    else pairs.push({ dense: counterpart, pruned: layer, keptUnits: kept, biases: biases(name) });
  }
  return { pairs, leftOut: [...leftOut, ...unpaired] };
}

/** What the places of each layer add, by its weight. */
function pairBiases(
  dense: ReadModel,
  pruned: ReadModel,
  weights: readonly string[],
): (weight: string) => (BiasPair | null)[] {
  const [before, now] = [dense, pruned].map(({ model, inventory }) =>
    placedBiases(model, inventory, weights),
  );
  return (weight) =>
    (now.get(weight) ?? []).map((bias, place) => {
      const former = before.get(weight)?.[place];
      if (typeof bias !== 'object' || typeof former !== 'object') return null;
      const isReadable =
        isStoredAsFloats(former.tensor, dense.inventory) && isStoredAsFloats(bias.tensor, pruned.inventory);
      if (!isReadable) return null;
      const { node, factor } = bias;
      const relative = factor / (node.op === 'Gemm' ? node.float('alpha', 1) : 1);
      return { dense: former.tensor, pruned: bias.tensor, factor: relative };
    });
}

function requestOf({ dense, pruned }: LayerPair): GramRequest {
  const side = ({ features, places }: FittableLayer) => ({
    features,
    inputs: places.map(({ input }) => input),
  });
  return { weight: pruned.weight, groups: pruned.groups, dense: side(dense), pruned: side(pruned) };
}

/** Passes of layers that get the same inputs, which are added up once. */
function passesOver(level: readonly LayerPair[]): LayerPair[][][] {
  const sharing = Map.groupBy(level, (pair) => keyOf(requestOf(pair)));
  const bytesOf = ([{ dense, pruned }]: readonly LayerPair[]) =>
    8 * pruned.groups * pruned.features * (pruned.features + dense.features);
  return splitPasses(sharing.values(), bytesOf, MAX_GRAM_BYTES);
}

function keyOf({ weight: _, ...inputs }: GramRequest): string {
  return JSON.stringify(inputs, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
}

async function solveLayer(
  pair: LayerPair,
  grams: Grams,
  solver: RowSolver,
  context: RepairContext,
  edits: TensorEdits,
): Promise<void> {
  const { dense, pruned, keptUnits } = pair;
  const { weight, groups, units, features } = pruned;
  const target = toMatrix(dense, await readNumbers(context.dense, weight));
  const matrix = toMatrix(pruned, await edits.read(weight));
  const offsets = await offsetsOf(pair, context, edits);
  const damping = dampingOf(grams.gram, pruned);
  const places = pruned.places.length;
  const system = { groups, features, denseFeatures: dense.features, places, ...grams, damping };
  const size = Math.max(1, Math.floor(MAX_ROW_ELEMENTS / (groups * Math.max(features, dense.features))));
  for (let from = 0; from < units; from += size) {
    context.signal.throwIfAborted();
    const rows = Array.from({ length: Math.min(size, units - from) }, (_, i) => from + i);
    const denseRows = rows.map((row) => keptUnits?.[row] ?? row);
    const solution = await solver.solve({
      ...system,
      rows: rows.length,
      dense: rowsOf(target, denseRows, dense),
      offsets: rowsOf(offsets, rows, { groups, units, features: places }),
      start: rowsOf(matrix, rows, pruned),
    });
    if (!solution.every(Number.isFinite)) {
      const message = `${weight}: no finite weights fit the products of its layer's inputs`;
      throw new EmpError('non_finite_activation', message, [{ path: weight, message }]);
    }
    eachRow(rows, pruned, (start, i) =>
      matrix.set(solution.subarray(i * features, (i + 1) * features), start),
    );
  }
  await edits.write(weight, fromMatrix(pruned, matrix));
}

/** Of each unit and place, what the dense layer's output has and the pruned layer's bias does not give it: `[groups, units, places]`. */
async function offsetsOf(
  { pruned: { groups, units }, keptUnits, biases }: LayerPair,
  { dense }: RepairContext,
  edits: TensorEdits,
): Promise<Float64Array> {
  const offsets = new Float64Array(groups * units * biases.length);
  for (const [place, bias] of biases.entries()) {
    if (bias === null) continue;
    const before = await readNumbers(dense, bias.dense);
    const now = await edits.read(bias.pruned);
    for (const [unit, value] of now.entries())
      offsets[unit * biases.length + place] = bias.factor * (before[keptUnits?.[unit] ?? unit] - value);
  }
  return offsets;
}

/** Of each group. */
function dampingOf(gram: Float64Array, { groups, features }: FittableLayer): Float64Array {
  return Float64Array.from({ length: groups }, (_, group) => {
    let trace = 0;
    for (let i = 0; i < features; i++) trace += gram[(group * features + i) * features + i];
    return (DAMPING * trace) / features;
  });
}

type MatrixShape = Pick<FittableLayer, 'groups' | 'units' | 'features'>;

/** `[groups, rows, features]` of `[groups, units, features]`. */
function rowsOf(matrix: Float64Array, rows: readonly number[], layer: MatrixShape): Float64Array {
  const { groups, features } = layer;
  const taken = new Float64Array(groups * rows.length * features);
  eachRow(rows, layer, (start, i) => taken.set(matrix.subarray(start, start + features), i * features));
  return taken;
}

/** Visits the rows of every group: where they start in the matrix, and their number among those taken. */
function eachRow(
  rows: readonly number[],
  { groups, units, features }: MatrixShape,
  visit: (start: number, taken: number) => void,
): void {
  for (let group = 0; group < groups; group++) {
    for (const [i, row] of rows.entries()) visit((group * units + row) * features, group * rows.length + i);
  }
}
