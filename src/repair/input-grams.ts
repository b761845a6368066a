import { type ReadModel, StagedRun } from '../runtime/staged-run.ts';
import { type FittableLayer, inputsKey } from './fittable-layers.ts';
import { GramSum, RowMultiplier } from './gram.ts';
import { readInputRows } from './input-rows.ts';
import type { RepairContext } from './repair-context.ts';
import { RowDraw, survey } from './row-draw.ts';

/** What comes into a layer, over rows of all its places: `X' X / n` of each group, `[groups, features, features]`, and the means, `[groups, features]`. */
export interface InputGram {
  readonly products: Float64Array;
  readonly means: Float64Array;
}

/** Of matrices that are in memory together. */
const MAX_GRAM_BYTES = 2 ** 29;

/**
 * What layers belong to, families or whatever they are fitted in, by their numbers, in stages whose Gram matrices fit in memory together; one at least in each, however large.
 * @param layers of each; what has none is in no stage
 */
export function planStages(
  layers: readonly (readonly FittableLayer[])[],
  mostBytes = MAX_GRAM_BYTES,
): number[][] {
  const stages: number[][] = [];
  let held = new Map<string, number>();
  for (const [family, own] of layers.entries()) {
    if (own.length === 0) continue;
    const bytes = own.map((layer): [string, number] => [
      inputsKey(layer),
      8 * layer.groups * layer.features ** 2,
    ]);
    const both = new Map([...held, ...bytes]);
    const isFitting = [...both.values()].reduce((sum, size) => sum + size, 0) <= mostBytes;
    const stage = isFitting ? stages.at(-1) : undefined;
    if (stage) stage.push(family);
    else stages.push([family]);
    held = stage ? both : new Map(bytes);
  }
  return stages;
}

/**
 * Gram matrices of what comes into layers, stage by stage, by `inputsKey`. They are of the rows that `least_squares` would look at, and all stages together go through the samples about once.
 * @param stages the layers whose matrices are in memory together
 * @throws EmpError non_finite_activation naming a weight and the samples, and what `openSession`, `planBatches` and `runBatch` throw
 */
export async function* measureGrams(
  model: ReadModel,
  stages: readonly (readonly FittableLayer[])[],
  context: Omit<RepairContext, 'dense' | 'pruned' | 'keptUnits'>,
): AsyncGenerator<ReadonlyMap<string, InputGram>> {
  const valuesOf = (layers: readonly FittableLayer[]) =>
    layers.flatMap(({ places }) => places.map(({ input }) => input.value));
  const seen = await survey(model, valuesOf(stages.flat()), context);
  const run = new StagedRun(model, stages.map(valuesOf), { ...context, batchSize: seen.batchSize });
  await using multiplier = await RowMultiplier.open(context.runtime);
  for (const stage of stages) {
    const drawn = [...new Map(stage.map((layer) => [inputsKey(layer), layer])).values()].map((layer) => {
      const { places, features } = layer;
      const sizes = { dense: features, pruned: features, nPlaces: places.length };
      return { layer, draws: places.map((place) => new RowDraw(place, sizes, seen, context)) };
    });
    const sums = drawn.map(
      ({ layer }) => new GramSum({ ...layer, places: layer.places.length, units: [] }, multiplier),
    );
    const counts = drawn.map(() => 0);
    for await (const { span, inputs } of readInputRows(run, drawn)) {
      for (const [i, places] of inputs.entries()) {
        for (const [place, rows] of places.entries()) {
          counts[i] += rows.shape[1];
          await sums[i].add(place, { span, inputs: rows, outputs: [] });
        }
      }
    }
    const grams = new Map<string, InputGram>();
    for (const [i, { layer }] of drawn.entries())
      grams.set(inputsKey(layer), meanGram(await sums[i].finish(), layer, counts[i]));
    yield grams;
  }
}

function meanGram(
  { gram, sums }: { readonly gram: Float64Array; readonly sums: Float64Array },
  { groups, features, places }: FittableLayer,
  count: number,
): InputGram {
  const means = new Float64Array(groups * features);
  for (const [at, sum] of sums.entries()) {
    const group = Math.floor(at / (places.length * features));
    means[group * features + (at % features)] += sum / Math.max(1, count);
  }
  return { products: gram.map((sum) => sum / Math.max(1, count)), means };
}
