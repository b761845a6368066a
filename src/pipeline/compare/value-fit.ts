import { weightChunks } from '../../criteria/weight-chunks.ts';
import { type ModelTensor, weightShape } from '../../formats/model.ts';
import { type ComparedModels, rounding } from './tensor-difference.ts';

/** So many weights tell which tensor they are of. */
const SAMPLED = 4096;
/** Fewer values may agree, or correlate, by chance. */
const MIN_DISTINCT = 8;
const MIN_CORRELATED = 32;
/** What was only fitted anew is well above `ALIKE`; of other tensors below `UNLIKE`. */
const ALIKE = 0.8;
const UNLIKE = 0.5;

/** The first weights of a pruned tensor that are not zero. */
export interface WeightSample {
  readonly tensor: ModelTensor;
  /** Flat indices, ascending. */
  readonly places: readonly number[];
  readonly values: readonly number[];
}

/** How the weights of a pruned tensor go with those of the original at the same places. */
export interface ValueFit {
  /** All are the same, and tell enough. */
  readonly isExact: boolean;
  /** They are not all the same, but vary together. */
  readonly isAlike: boolean;
  /** They have nothing in common. */
  readonly isStrange: boolean;
}

export async function sampleWeights(
  tensor: ModelTensor,
  { pruned: model, signal }: ComparedModels,
): Promise<WeightSample> {
  const [places, values]: [number[], number[]] = [[], []];
  for await (const { start, weights } of weightChunks(tensor, { model, signal })) {
    for (let i = 0; i < weights.length && places.length < SAMPLED; i++) {
      if (weights[i] === 0 || !Number.isFinite(weights[i])) continue;
      places.push(start + i);
      values.push(weights[i]);
    }
    if (places.length === SAMPLED) break;
  }
  return { tensor, places, values };
}

/** @param order the axis of the original that each axis of the pruned tensor is, axes of size 1 left out */
export async function fitOf(
  { tensor: pruned, places, values }: WeightSample,
  original: ModelTensor,
  models: ComparedModels,
  order?: readonly number[],
): Promise<ValueFit> {
  const from = order ? turnedPlaces(places, axesOf(original), order) : places;
  const before = rounding({ original, pruned })(await weightsAt(original, from, models));
  const nEqual = values.filter((value, i) => value === before[i]).length;
  const isEqual = nEqual === values.length;
  const correlation = correlationOf(values, before);
  const tells = new Set(values).size >= MIN_DISTINCT;
  return {
    isExact: isEqual && tells,
    isAlike: !isEqual && values.length >= MIN_CORRELATED && correlation > ALIKE,
    isStrange: tells && nEqual < 0.1 * values.length && Math.abs(correlation) < UNLIKE,
  };
}

/** All orders of a tensor's axes, but its own, that give its shape again. */
export function otherOrders(tensor: ModelTensor): number[][] {
  const sizes = axesOf(tensor);
  const orders = sizes.reduce<number[][]>(
    (begun, size) =>
      begun.flatMap((order) =>
        sizes.flatMap((other, axis) => (other === size && !order.includes(axis) ? [[...order, axis]] : [])),
      ),
    [[]],
  );
  return orders.filter((order) => order.some((axis, i) => axis !== i));
}

function axesOf(tensor: ModelTensor): number[] {
  return weightShape(tensor).filter((size) => size !== 1);
}

function turnedPlaces(
  places: readonly number[],
  sizes: readonly number[],
  order: readonly number[],
): number[] {
  const strideOf = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * size, 1));
  return places.map((place) =>
    sizes.reduce(
      (turned, size, axis) => turned + (Math.floor(place / strideOf[axis]) % size) * strideOf[order[axis]],
      0,
    ),
  );
}

async function weightsAt(
  tensor: ModelTensor,
  places: readonly number[],
  { original: model, signal }: ComparedModels,
): Promise<Float64Array> {
  const found = new Float64Array(places.length);
  const ascending = [...places.keys()].sort((a, b) => places[a] - places[b]);
  let next = 0;
  for await (const { start, weights } of weightChunks(tensor, { model, signal })) {
    for (; next < ascending.length && places[ascending[next]] < start + weights.length; next++)
      found[ascending[next]] = weights[places[ascending[next]] - start];
    if (next === ascending.length) break;
  }
  return found;
}

/** Pearson's; NaN where either is constant. */
function correlationOf(one: readonly number[], other: Float64Array): number {
  const mean = (numbers: ArrayLike<number>) =>
    Array.from(numbers).reduce((sum, value) => sum + value, 0) / numbers.length;
  const [a, b] = [mean(one), mean(other)];
  let [both, ofOne, ofOther] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    both += (one[i] - a) * (other[i] - b);
    ofOne += (one[i] - a) ** 2;
    ofOther += (other[i] - b) ** 2;
  }
  return both / Math.sqrt(ofOne * ofOther);
}
