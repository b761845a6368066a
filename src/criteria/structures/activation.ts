import { elementCount, type ModelTensor } from '../../formats/model.ts';
import { addValues, type IndexMap } from '../../graph/weights/index-map.ts';
import { captureSides } from '../captured-sides.ts';
import type { StructureScorer } from '../context.ts';
import { sumOverSites } from '../structure-sums.ts';

/** Elements whose features are looked at together. */
const CHUNK_ELEMENTS = 2 ** 18;

/** `s = sum mean |y|` over the output units of the rows that compute a structure, their biases included. */
export const score: StructureScorer<'activation'> = async (families, context) => {
  const layers = await captureSides('activation', 'producers', ['sum_of_magnitudes'], families, context);
  return sumOverSites(
    families,
    layers.sitesOf,
    async (tensor, axis) => {
      const sums = new Float64Array(tensor.shape[axis]);
      for (const { features, figures } of layers.statisticsOf(tensor.name)) {
        const [totals, counts] = figures;
        const means = totals.map((total, unit) => (counts[unit] > 0 ? total / counts[unit] : 0));
        for (const [position, mean] of alongAxis(tensor, axis, features, means).entries())
          sums[position] += mean;
      }
      return sums;
    },
    context,
  );
};

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
  const latest = new Float64Array(size);
  // From 1 on: 0 is that of elements that have none.
  const numbers = Float64Array.from(figures, (_, feature) => feature + 1);
  const own = new Float64Array(Math.min(n, CHUNK_ELEMENTS));
  for (let start = 0; start < n; start += own.length) {
    const chunk = own.subarray(0, n - start).fill(0);
    addValues(features, numbers, start, chunk);
    for (let i = 0; i < chunk.length; i++) {
      const position = Math.floor((start + i) / inner) % size;
      if (chunk[i] === 0 || latest[position] === chunk[i]) continue;
      latest[position] = chunk[i];
      found[position].add(chunk[i]);
    }
  }
  return Float64Array.from(found, (set) => [...set].reduce((sum, feature) => sum + figures[feature - 1], 0));
}
