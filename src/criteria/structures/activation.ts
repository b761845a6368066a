import { elementCount, type ModelTensor } from '../../formats/model.ts';
import { type IndexMap, spreadValues } from '../../graph/weights/index-map.ts';
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
      const [{ sums, count }] = layers.sums(tensor.name);
      const means = sums.map((sum) => (count > 0 ? sum / count : 0));
      return alongAxis(tensor, axis, layers.features(tensor.name), means);
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
