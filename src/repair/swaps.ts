import { Turns } from '../core/event-loop.ts';
import { packMask, unpackMask } from '../core/keep-mask.ts';
import type { ModelInventory } from '../formats/model.ts';
import { present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import {
  type FittableLayer,
  findFittableLayers,
  fromMatrix,
  inputsKey,
  toMatrix,
} from './fittable-layers.ts';
import { measureGrams, planStages } from './input-grams.ts';
import { readModel } from './layer-fit.ts';
import { pairLayers } from './layer-pairs.ts';
import type { MovedWeights, RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { SmallGraph } from './small-graph.ts';
import { swapRow } from './swap-rows.ts';
import { readNumbers, type TensorEdits } from './tensor-edits.ts';

/** Of the samples through the dense model; and the exchanges, which take about as long. */
const PASSES = 2;
/** Numbers of rows whose products are formed at a time. */
const MAX_ROW_ELEMENTS = 2 ** 22;

/**
 * Chooses which weights every row of the pruned layers keeps, as many as its keep mask has, with the dense model's values: `swapRow`, by Gram matrices of what comes into the dense layers, of a convolution by group. So it lowers `|X (w - w')|^2`, X the rows that `least_squares` looks at, w the dense row and w' what is
 * kept of it. With what comes in now that the layers before are pruned, for X, all of our networks lost more. Writes weights and masks.
 * @throws EmpError as `measureGrams`
 */
export async function repairBySwaps(context: RepairContext, edits: TensorEdits): Promise<RepairWork> {
  const model = await readModel(context.dense);
  const { pairs, leftOut } = pairLayers(model, await readModel(context.pruned), context.keptUnits);
  const moved: MovedWeights[] = [];
  const work = { nRepaired: pairs.length, leftOut, moved };
  if (pairs.length === 0) return work;
  const stages = planStages(pairs.map(({ dense }) => [dense]));
  const layers = stages.map((stage) => stage.map((i) => pairs[i].dense));
  await using product = await openProduct(context.runtime);
  let next = 0;
  for await (const grams of measureGrams(model, layers, context)) {
    for (const i of stages[next++]) {
      const { dense, pruned } = pairs[i];
      const { weight: name } = pruned;
      const matrix = toMatrix(pruned, await readNumbers(context.dense, name));
      const scored = toMatrix(pruned, unpackMask(await edits.readMask(name), matrix.length));
      const inputs = grams.get(inputsKey(dense));
      if (inputs === undefined) throw new TypeError(`nothing was summed of what comes into ${name}`);
      const rows = { layer: pruned, matrix, scored, gram: inputs.products };
      const kept = await swapRows(rows, product, context.signal);
      const left = matrix.map((value, at) => (kept[at] === 1 ? value : 0));
      await edits.write(name, fromMatrix(pruned, left));
      await edits.writeMask(name, packMask(fromMatrix(pruned, kept)));
      moved.push({ name, nMoved: kept.reduce((sum, keep, at) => sum + Number(keep > scored[at]), 0) });
      context.onSamples(context.samples.nSamples / pairs.length);
    }
  }
  return work;
}

/** What `repairBySwaps` would do. */
export function planSwaps(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): RepairPlan {
  const { found, leftOut } = findFittableLayers(model, inventory, weights);
  return { nRepaired: found.length, leftOut, nPasses: found.length > 0 ? PASSES : 0 };
}

/** Rows of a layer: dense weights, and 1 or 0 of each, `[groups, units, features]`; `X' X` of each group. */
interface MaskedRows {
  readonly layer: FittableLayer;
  readonly matrix: Float64Array;
  readonly scored: Uint8Array;
  readonly gram: Float64Array;
}

/** What the rows keep after their exchanges, as `scored`. Throws the signal's reason when aborted. */
async function swapRows(
  { layer: { groups, units, features }, matrix, scored, gram }: MaskedRows,
  product: ModelSession,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const kept = scored.slice();
  const size = Math.max(1, Math.floor(MAX_ROW_ELEMENTS / features));
  const turns = new Turns();
  for (let group = 0; group < groups; group++) {
    const own = gram.slice(group * features ** 2, (group + 1) * features ** 2);
    const last = (group + 1) * units;
    for (let from = group * units; from < last; from += size) {
      const [start, stop] = [from * features, Math.min(from + size, last) * features];
      const weights = matrix.subarray(start, stop);
      const masks = kept.subarray(start, stop);
      const removed = weights.map((value, i) => (masks[i] === 1 ? 0 : value));
      const shifts = await multiply(removed, own, features, product);
      for (let at = 0; at < removed.length; at += features) {
        const end = at + features;
        const shift = shifts.subarray(at, end);
        const swaps = swapRow(weights.subarray(at, end), masks.subarray(at, end), own, shift);
        if (!turns.due(features * (1 + swaps))) continue;
        await turns.next();
        signal.throwIfAborted();
      }
    }
  }
  return kept;
}

/** `rows matrix`, of `[..., n]` and `[n, n]`. */
async function multiply(
  rows: Float64Array,
  matrix: Float64Array,
  n: number,
  product: ModelSession,
): Promise<Float64Array> {
  const fed = (data: Float64Array) => ({ dtype: 'float64', shape: [data.length / n, n], data });
  const feeds = new Map(Object.entries({ rows: fed(rows), matrix: fed(matrix) }));
  return present((await product.run(feeds, ['product'])).get('product')).data as Float64Array;
}

async function openProduct(runtime: RuntimeSettings): Promise<ModelSession> {
  const graph = new SmallGraph(['rows', 'matrix'], TensorProto_DataType.DOUBLE);
  return await graph.open({ product: graph.builder.op('MatMul', ['rows', 'matrix']) }, runtime);
}
