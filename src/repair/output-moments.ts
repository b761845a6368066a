import type { OnnxModel } from '../graph/onnx-model.ts';
import { findLayers } from '../graph/weights/weight-layers.ts';
import type { Activations } from '../graph/weights/weight-sites.ts';
import {
  type CaptureContext,
  type CaptureRequest,
  captureSums,
  type FeatureSums,
} from '../runtime/capture.ts';
import type { LayerBias } from './layer-biases.ts';
import type { LeftOut, RepairContext } from './repair-context.ts';

/** Of what layers give, by unit, over all samples and positions. */
export interface Moments {
  readonly mean: Float64Array;
  /** The standard deviation; null where the mean alone was asked for. */
  readonly deviation: Float64Array | null;
}

/** Biases whose layers are in both models. */
export interface ComparedBiases {
  readonly comparable: readonly LayerBias[];
  /** What the dense layers give. */
  readonly outputsOf: (bias: LayerBias) => readonly Activations[];
  readonly incomparable: readonly LeftOut[];
}

/** What the layers of the model give that the biases were found in. */
export const ownOutputs = ({ places }: LayerBias): readonly Activations[] =>
  places.map(({ output }) => output);

/** Finds what the dense layers give where the pruned ones have `biases`. */
export function compareBiases(
  biases: readonly LayerBias[],
  dense: OnnxModel,
  { keptUnits }: Pick<RepairContext, 'keptUnits'>,
): ComparedBiases {
  const layers = findLayers(dense, [...keptUnits.keys()]);
  const outputsOf = ({ places }: LayerBias) =>
    places
      .map(({ weight, site }) => layers.get(weight)?.sites[site]?.result)
      .filter((output) => typeof output === 'object');
  // Of a weight that is used in parts the units of one part alone are not known.
  const isTold = ({ places: [{ weight, output }] }: LayerBias) =>
    (keptUnits.get(weight)?.length ?? output.size) === output.size;
  const isComparable = (bias: LayerBias) => outputsOf(bias).length === bias.places.length && isTold(bias);
  const reason = 'has no counterpart in the dense model';
  return {
    comparable: biases.filter(isComparable),
    outputsOf,
    incomparable: biases
      .filter((bias) => !isComparable(bias))
      .map(({ tensor }) => ({ name: tensor, reason })),
  };
}

/**
 * What the layers give that have each bias, by the bias; null for layers that no sample reaches. One pass over the samples.
 * @throws EmpError as `captureSums`
 */
export async function measureOutputs(
  model: OnnxModel,
  biases: readonly LayerBias[],
  outputsOf: ComparedBiases['outputsOf'],
  what: 'mean' | 'mean and deviation',
  context: CaptureContext,
): Promise<Map<string, Moments | null>> {
  const reductions = what === 'mean' ? (['sum'] as const) : (['sum', 'sum_of_squares'] as const);
  const requests = biases.flatMap((bias) =>
    reductions.flatMap((reduction) =>
      outputsOf(bias).map((activations): CaptureRequest => {
        return { activations, reduction, tensor: bias.tensor, side: 'output' };
      }),
    ),
  );
  const sums = await captureSums(model, requests, context);
  let taken = 0;
  const take = (count: number) => {
    taken += count;
    return sums.slice(taken - count, taken);
  };
  return new Map(
    biases.map(({ tensor, places }) => {
      const mean = meanOf(take(places.length));
      const square = what === 'mean' ? null : meanOf(take(places.length));
      const deviation = (values: Float64Array) =>
        square && values.map((value, unit) => Math.sqrt(Math.max(0, square[unit] - value ** 2)));
      return [tensor, mean && { mean, deviation: deviation(mean) }];
    }),
  );
}

function meanOf(sums: readonly FeatureSums[]): Float64Array | null {
  const total = (of: (part: FeatureSums) => number) => sums.reduce((sum, part) => sum + of(part), 0);
  if (total(({ counts }) => counts[0]) === 0) return null;
  return sums[0].sums.map((_, unit) => total((part) => part.sums[unit]) / total((part) => part.counts[unit]));
}
