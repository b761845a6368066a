import { type Fetched, present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { type FittableLayer, inputsKey } from '../repair/fittable-layers.ts';
import { GramSum, RowMultiplier } from '../repair/gram.ts';
import { readInputRows } from '../repair/input-rows.ts';
import { RowDraw, survey } from '../repair/row-draw.ts';
import { SmallGraph } from '../repair/small-graph.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import { type ReadModel, StagedRun } from '../runtime/staged-run.ts';
import { type CriterionContext, samplesOf } from './context.ts';

/** What comes into a layer, over rows of all its places: `X' X / n` of each group, `[groups, features, features]`, and the means, `[groups, features]`. */
export interface InputGram {
  readonly products: Float64Array;
  readonly means: Float64Array;
}

/** Of the mean of a Gram matrix's diagonal, as `least_squares` has it: what the data say nothing of stays where it is. */
const DAMPING = 0.01;
/** Of matrices that are in memory together. */
const MAX_GRAM_BYTES = 2 ** 29;

/**
 * Families that layers read, by their numbers, in stages whose Gram matrices fit in memory together; one at least in each, however large.
 * @param layers of each family; what none reads is in no stage
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
  context: CriterionContext,
): AsyncGenerator<ReadonlyMap<string, InputGram>> {
  const samples = samplesOf(context);
  const valuesOf = (layers: readonly FittableLayer[]) =>
    layers.flatMap(({ places }) => places.map(({ input }) => input.value));
  const seen = await survey(model, valuesOf(stages.flat()), { ...context, samples });
  const run = new StagedRun(model, stages.map(valuesOf), { ...context, samples, batchSize: seen.batchSize });
  await using multiplier = await RowMultiplier.open(context.runtime);
  for (const stage of stages) {
    const drawn = [...new Map(stage.map((layer) => [inputsKey(layer), layer])).values()].map((layer) => {
      const { places, features } = layer;
      const sizes = { dense: features, pruned: features, nPlaces: places.length };
      return { layer, draws: places.map((place) => new RowDraw(place, sizes, seen, { samples })) };
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

/**
 * The damped Gram matrix of one group, `[features, features]`.
 * @param isCentred whether it is that of what comes in less its mean
 * @returns null where nothing, or nothing but a constant, comes in
 */
export function dampedGram(
  { products, means }: InputGram,
  group: number,
  features: number,
  isCentred: boolean,
): Float64Array<ArrayBuffer> | null {
  const size = features * features;
  const matrix = products.slice(group * size, (group + 1) * size);
  const own = means.subarray(group * features, (group + 1) * features);
  for (let i = 0; isCentred && i < features; i++)
    for (let j = 0; j < features; j++) matrix[i * features + j] -= own[i] * own[j];
  let trace = 0;
  for (let i = 0; i < size; i += features + 1) trace += Math.max(0, matrix[i]);
  const damping = (DAMPING * trace) / features;
  for (let i = 0; i < size; i += features + 1) matrix[i] = Math.max(0, matrix[i]) + damping;
  return damping > 0 ? matrix : null;
}

/** Inverts matrices in onnxruntime, in float64. */
export class MatrixInverter implements AsyncDisposable {
  readonly #session: ModelSession;

  private constructor(session: ModelSession) {
    this.#session = session;
  }

  static async open(runtime: RuntimeSettings): Promise<MatrixInverter> {
    const graph = new SmallGraph(['matrix'], TensorProto_DataType.DOUBLE);
    const inverse = graph.builder.microsoft('Inverse', ['matrix'], {});
    return new MatrixInverter(await graph.open({ inverse }, runtime));
  }

  /** Of `[size, size]`. */
  async invert(matrix: Float64Array, size: number): Promise<Float64Array> {
    const fed: Fetched = { dtype: 'float64', shape: [size, size], data: matrix };
    const results = await this.#session.run(new Map([['matrix', fed]]), ['inverse']);
    return present(results.get('inverse')).data as Float64Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
