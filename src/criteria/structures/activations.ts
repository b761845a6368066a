import { elementCount, type ModelTensor } from '../../formats/model.ts';
import type { Reduction } from '../../graph/passes/append-sums.ts';
import { type IndexMap, spreadValues } from '../../graph/weights/index-map.ts';
import { captureSums, type FeatureSums } from '../../runtime/capture.ts';
import type { Family } from '../../structure/families.ts';
import { requireCalibration } from '../calibration.ts';
import type { CriterionContext } from '../criterion.ts';
import { squaresAlong } from '../weight-chunks.ts';
import { type LayerSide, layersOf } from './layers.ts';
import { sumOverSites } from './structure-criterion.ts';

/** Elements whose features are looked at together. */
const CHUNK_ELEMENTS = 2 ** 18;

/** `s = sum mean |y|` over the output units of the rows that compute a structure, their biases included. */
export async function structureActivation(
  families: readonly Family[],
  context: CriterionContext,
): Promise<Float64Array[]> {
  const layers = await layersOf('activation', 'producers', families, context);
  const [magnitudes] = await measure('activation', layers, ['sum_of_magnitudes'], context);
  return sumOverSites(
    families,
    layers.sitesOf,
    async (tensor, axis) => {
      const { sums, count } = magnitudes.get(tensor.name) ?? NOTHING;
      const means = sums.map((sum) => (count > 0 ? sum / count : 0));
      return alongAxis(tensor, axis, layers.features(tensor.name), means);
    },
    context,
  );
}

/** `s^2 = sum (|W_ij| ||x_j||)^2` over the weights that read a structure: the norm of what it gives, times that of what is made of it. */
export async function structureWanda(
  families: readonly Family[],
  context: CriterionContext,
): Promise<Float64Array[]> {
  const layers = await layersOf('wanda', 'consumers', families, context);
  const [squares] = await measure('wanda', layers, ['sum_of_squares'], context);
  const sums = await sumOverSites(
    families,
    layers.sitesOf,
    (tensor, axis) => {
      const { sums: factors } = squares.get(tensor.name) ?? NOTHING;
      return squaresAlong(tensor, axis, context, { factors, features: layers.features(tensor.name) });
    },
    context,
  );
  return sums.map((family) => family.map(Math.sqrt));
}

/** `s = sum var(x_j) W_ij^2` over the weights that read a structure: what varies in it no bias can make up for. */
export async function structureVariance(
  families: readonly Family[],
  context: CriterionContext,
): Promise<Float64Array[]> {
  const layers = await layersOf('variance', 'consumers', families, context);
  const [means, squares] = await measure('variance', layers, ['sum', 'sum_of_squares'], context);
  return sumOverSites(
    families,
    layers.sitesOf,
    (tensor, axis) => {
      const { sums, count } = squares.get(tensor.name) ?? NOTHING;
      const totals = means.get(tensor.name)?.sums ?? new Float64Array();
      const factors = sums.map((square, i) =>
        count > 0 ? Math.max(0, square / count - (totals[i] / count) ** 2) : 0,
      );
      return squaresAlong(tensor, axis, context, { factors, features: layers.features(tensor.name) });
    },
    context,
  );
}

const NOTHING: FeatureSums = { sums: new Float64Array(), count: 0 };

/** Runs the calibration samples and sums what goes into the layers or comes out of them, over all places that share a weight: by reduction, and by weight. */
async function measure(
  criterion: 'activation' | 'wanda' | 'variance',
  { model, weights, side, places }: LayerSide,
  reductions: readonly Reduction[],
  context: CriterionContext,
): Promise<Map<string, FeatureSums>[]> {
  const samples = requireCalibration(criterion, context);
  const requests = reductions.flatMap((reduction) =>
    weights.flatMap((tensor) =>
      places(tensor).map((activations) => ({ activations, reduction, tensor, side })),
    ),
  );
  const { files } = context.inventory;
  const sums = await captureSums(model, requests, { ...context, files, samples });
  let taken = 0;
  return reductions.map(
    () =>
      new Map(
        weights.map((tensor): [string, FeatureSums] => {
          const own = sums.slice(taken, taken + places(tensor).length);
          taken += own.length;
          return [tensor, addUp(own)];
        }),
      ),
  );
}

function addUp(parts: readonly FeatureSums[]): FeatureSums {
  const sums = Float64Array.from(parts[0].sums);
  for (const part of parts.slice(1)) for (let i = 0; i < sums.length; i++) sums[i] += part.sums[i];
  return { sums, count: parts.reduce((total, { count }) => total + count, 0) };
}

/** For every position along a weight's axis the sum of `figures` of the features that its elements belong to, each counted once: of one unit, or of several. */
function alongAxis(
  { shape }: ModelTensor,
  axis: number,
  features: NonNullable<IndexMap>,
  figures: Float64Array,
): Float64Array {
  const size = shape[axis];
  const inner = elementCount(shape.slice(axis + 1));
  const n = elementCount(shape);
  const found = Array.from({ length: size }, () => new Set<number>());
  const latest = new Float64Array(size).fill(-1);
  const numbers = Float64Array.from(figures.keys());
  const own = new Float64Array(Math.min(n, CHUNK_ELEMENTS));
  for (let start = 0; start < n; start += own.length) {
    const chunk = own.subarray(0, n - start);
    spreadValues(features, numbers, start, chunk);
    for (let i = 0; i < chunk.length; i++) {
      const position = Math.floor((start + i) / inner) % size;
      if (latest[position] === chunk[i]) continue;
      latest[position] = chunk[i];
      found[position].add(chunk[i]);
    }
  }
  return Float64Array.from(found, (set) => [...set].reduce((sum, feature) => sum + figures[feature], 0));
}
