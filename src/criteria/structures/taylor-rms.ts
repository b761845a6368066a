import { visitSampleGradients } from '../../autodiff/gradients.ts';
import { elementCount } from '../../formats/model.ts';
import { type Family, placesOf, type Site, type Structure } from '../../structure/families.ts';
import { type CriterionContext, labelledSamplesOf, type StructureScorer } from '../context.ts';
import { layersOf } from '../layer-sides.ts';
import { readWeights } from '../weight-chunks.ts';

/**
 * `s = rms_n |sum W dL_n/dW|` over the weights that read a structure (Molchanov et al., arXiv 1906.10771): to first order what each sample's mean loss L_n changes by when nothing of
 * it is read any more, as the root mean square over samples n. The model runs on one sample at a time.
 * @throws EmpError what `visitSampleGradients` throws
 */
export const score: StructureScorer<'taylor_rms'> = async (families, context) => {
  const samples = labelledSamplesOf(context);
  const { sitesOf } = await layersOf('taylor_rms', 'consumers', families, context);
  const places = await readPlaces(families, sitesOf, context);
  const structures = families.reduce((sum, family) => sum + family.structures.length, 0);
  const changes = new Float64Array(samples.nSamples * structures);
  // What nothing reads changes nothing.
  if (places.size === 0) return families.map((family) => new Float64Array(family.structures.length));
  const counted = await visitSampleGradients(
    [...places.keys()],
    { ...context, samples },
    (sample, weight, sums, scale) => {
      const own = changes.subarray(sample * structures, (sample + 1) * structures);
      for (const place of places.get(weight) ?? []) addProducts(place, sums, scale, own);
    },
  );
  let first = 0;
  return families.map((family) => {
    const scores = Float64Array.from(family.structures, (_, i) => {
      let squares = 0;
      for (let at = first + i; at < changes.length; at += structures) squares += changes[at] ** 2;
      return Math.sqrt(squares / counted);
    });
    first += family.structures.length;
    return scores;
  });
};

/** A weight and one of its axes, along which it reads structures. */
interface Place {
  readonly axis: number;
  readonly weights: Float64Array;
  /** By position, counted through all families: none, one, or several where axes are flattened into one. */
  readonly structuresAt: readonly number[][];
  readonly inner: number;
}

async function readPlaces(
  families: readonly Family[],
  sitesOf: (structure: Structure) => readonly Site[],
  context: CriterionContext,
): Promise<Map<string, Place[]>> {
  const tensors = new Map(context.model.inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const places = new Map<string, Place[]>();
  for (const { tensor, axis } of placesOf(families, sitesOf)) {
    const stored = tensors.get(tensor);
    if (stored === undefined) throw new TypeError(`no tensor ${tensor}`);
    const known = places.get(tensor) ?? [];
    const place = {
      axis,
      weights: known[0]?.weights ?? (await readWeights(stored, context)),
      structuresAt: Array.from({ length: stored.shape[axis] }, () => []),
      inner: elementCount(stored.shape.slice(axis + 1)),
    };
    places.set(tensor, [...known, place]);
  }
  for (const [index, structure] of families.flatMap(({ structures }) => structures).entries()) {
    for (const { tensor, axis, positions } of sitesOf(structure)) {
      const place = places.get(tensor)?.find((each) => each.axis === axis);
      for (const position of positions) place?.structuresAt[position].push(index);
    }
  }
  return places;
}

/** Adds `scale * W g`, element by element, to the changes of the structures. */
function addProducts(
  { weights, structuresAt, inner }: Place,
  gradient: Float32Array,
  scale: number,
  changes: Float64Array,
): void {
  for (
    let start = 0, row = 0;
    start < weights.length;
    start += inner, row = (row + 1) % structuresAt.length
  ) {
    if (structuresAt[row].length === 0) continue;
    let sum = 0;
    for (let i = start; i < start + inner; i++) sum += weights[i] * gradient[i];
    for (const structure of structuresAt[row]) changes[structure] += scale * sum;
  }
}
