import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { splitPasses } from '../runtime/split-passes.ts';
import { type ReadModel, StagedRun } from '../runtime/staged-run.ts';
import { type FittableLayer, findFittableLayers, inputsKey, type PerElement } from './fittable-layers.ts';
import { type Grams, RowMultiplier } from './gram.ts';
import { type LayerPair, pairLayers } from './layer-pairs.ts';
import { outputValues } from './layer-rows.ts';
import type { RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { nodesOfPlaces, repairOrder } from './repair-order.ts';
import { survey } from './row-draw.ts';
import { RowSolver } from './row-solver.ts';
import type { RowSystem } from './row-system.ts';
import { SharedInputs } from './shared-inputs.ts';
import { readNumbers, type TensorEdits } from './tensor-edits.ts';

/** A layer whose rows are to be fitted. */
export interface LayerFit {
  readonly pair: LayerPair;
  /** Sums over rows of its inputs, those of the other layers that get the same among them. */
  readonly grams: Grams;
  /** Its number among these. */
  readonly index: number;
  /** Of each group. */
  readonly damping: Float64Array;
  readonly context: RepairContext;
  readonly edits: TensorEdits;
}

/** Some rows of every group of a layer's matrix. */
interface TakenRows {
  /** `[groups, rows, features]` of `[groups, units, features]`. */
  take<T extends PerElement>(matrix: T): T;
  /** Puts them back. */
  put<T extends PerElement>(matrix: T, taken: T): void;
}

/** Of the mean of the Gram matrix's diagonal: what holds weights where they are that the data say little of. */
export const DAMPING = 0.01;
/** What is added up in one stage. */
const MAX_GRAM_BYTES = 2 ** 29;
/** What the dense layers of the stages that follow give, which is in memory until they are fitted. */
const MAX_OUTPUT_BYTES = 2 ** 29;
/** Of the samples, through each of the models; and the fits, which take about as long. */
const PASSES = 3;
/** Weights solved for at a time. */
const MAX_ROW_ELEMENTS = 2 ** 22;

/**
 * Fits the pruned layers one after the other, upstream first, each on what comes in now that those before it are fitted; the samples go through each model about once.
 * @param solveLayers is called with layers that get the same inputs, and writes their weights
 * @throws EmpError non_finite_activation naming the weight and the samples where products of inputs are not finite, and what `openSession`, `planBatches` and `runBatch` throw
 */
export async function fitLayers(
  context: RepairContext,
  edits: TensorEdits,
  solveLayers: (layers: readonly LayerFit[], solver: RowSolver) => Promise<void>,
): Promise<RepairWork> {
  const { runtime } = context;
  const dense = await readModel(context.dense);
  const pruned = await readModel(context.pruned);
  const { pairs, leftOut } = pairLayers(dense, pruned, context.keptUnits);
  if (pairs.length === 0) return { nRepaired: 0, leftOut };
  const seen = await survey(
    dense,
    pairs.flatMap((pair) => pair.dense.places.map(({ input }) => input.value)),
    context,
  );
  const levels = repairOrder(pruned.model.graph, pairs, (pair) => nodesOfPlaces(pair.pruned));
  const stages = levels.flatMap((level) =>
    splitPasses(sharingInputs(level), gramBytes, MAX_GRAM_BYTES).map((stage) =>
      stage.map((sharing) => new SharedInputs(sharing, seen, context)),
    ),
  );
  const parts = splitPasses(
    stages,
    (stage) => stage.reduce((sum, { outputBytes }) => sum + outputBytes, 0),
    MAX_OUTPUT_BYTES,
  );
  const runContext = { ...context, batchSize: seen.batchSize };
  const outputs = parts.map((part) =>
    pairsOf(part.flat()).flatMap((pair) => pair.dense.places.flatMap(outputValues)),
  );
  const inputs = stages.map((stage) =>
    pairsOf(stage).flatMap((pair) => pair.pruned.places.map(({ input }) => input.value)),
  );
  const denseRun = new StagedRun(dense, outputs, runContext);
  const prunedRun = new StagedRun(pruned, inputs, runContext);
  const totalBytes = stages.flat().reduce((sum, { pairs }) => sum + gramBytes(pairs), 0);
  await using solver = await RowSolver.open(runtime);
  await using multiplier = await RowMultiplier.open(runtime);
  for (const part of parts) {
    await SharedInputs.readOutputs(part.flat(), denseRun);
    for (const stage of part) {
      for (const [{ pairs }, grams] of await SharedInputs.addUp(stage, prunedRun, multiplier)) {
        const damping = dampingOf(grams.gram, pairs[0].pruned);
        await solveLayers(
          pairs.map((pair, index) => ({ pair, grams, index, damping, context, edits })),
          solver,
        );
        context.onSamples((context.samples.nSamples * gramBytes(pairs)) / totalBytes);
      }
    }
  }
  return { nRepaired: pairs.length, leftOut };
}

/** What `fitLayers` would do. */
export function planFits(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): RepairPlan {
  const { found, leftOut } = findFittableLayers(model, inventory, weights);
  return { nRepaired: found.length, leftOut, nPasses: found.length > 0 ? PASSES : 0 };
}

/**
 * Gives the rows of a layer's matrix, `[groups, units, features]`, other numbers, some rows at a time.
 * @param solve gets the rows' equations, with what the matrix has as their start
 * @throws EmpError non_finite_activation naming the weight where no finite numbers solve them; the signal's reason when aborted
 */
export async function fitRows(
  { pair, grams, index, damping, context, edits }: LayerFit,
  matrix: Float64Array,
  solve: (system: RowSystem, taken: TakenRows) => Promise<Float64Array>,
): Promise<void> {
  const { weight, groups, units, features, places: used } = pair.pruned;
  const offsets = await offsetsOf(pair, context, edits);
  const { gram, sums, products } = grams;
  const places = used.length;
  const size = Math.max(1, Math.floor(MAX_ROW_ELEMENTS / (groups * features)));
  for (let from = 0; from < units; from += size) {
    context.signal.throwIfAborted();
    const rows = Array.from({ length: Math.min(size, units - from) }, (_, i) => from + i);
    const taken: TakenRows = {
      take: (all) => rowsOf(all, rows, pair.pruned),
      put: (all, some) =>
        eachRow(rows, pair.pruned, (start, i) =>
          all.set(some.subarray(i * features, (i + 1) * features), start),
        ),
    };
    const solution = await solve(
      {
        ...{ groups, features, places, gram, sums, damping },
        rows: rows.length,
        products: taken.take(products[index]),
        offsets: rowsOf(offsets, rows, { groups, units, features: places }),
        start: taken.take(matrix),
      },
      taken,
    );
    if (!solution.every(Number.isFinite)) {
      const message = `${weight}: no finite weights fit the products of its layer's inputs`;
      throw new EmpError('non_finite_activation', message, [{ path: weight, message }]);
    }
    taken.put(matrix, solution);
  }
}

/** With its graph. */
export async function readModel(stored: StoredModel): Promise<ReadModel> {
  return { ...stored, model: await readStoredGraph(stored) };
}

function sharingInputs(level: readonly LayerPair[]): Iterable<LayerPair[]> {
  return Map.groupBy(level, ({ dense, pruned }) => `${inputsKey(dense)} ${inputsKey(pruned)}`).values();
}

function gramBytes(sharing: readonly LayerPair[]): number {
  const [{ groups, features }] = sharing.map(({ pruned }) => pruned);
  const units = sharing.reduce((sum, { pruned }) => sum + pruned.units, 0);
  return 8 * groups * features * (features + units);
}

function pairsOf(shared: readonly SharedInputs[]): LayerPair[] {
  return shared.flatMap(({ pairs }) => pairs);
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
function rowsOf<T extends PerElement>(matrix: T, rows: readonly number[], layer: MatrixShape): T {
  const { groups, features } = layer;
  const size = groups * rows.length * features;
  const taken = (matrix instanceof Uint8Array ? new Uint8Array(size) : new Float64Array(size)) as T;
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
