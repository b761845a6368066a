import { type Fetched, present } from '../formats/numbers.ts';
import type { StagedRun } from '../runtime/staged-run.ts';
import { GramSum, type Grams, type RowMultiplier } from './gram.ts';
import { feedsOf, readInputRows } from './input-rows.ts';
import type { LayerPair } from './layer-pairs.ts';
import { appendOutputRows, type LayerRows } from './layer-rows.ts';
import type { RepairContext } from './repair-context.ts';
import { RowDraw, type Survey } from './row-draw.ts';

/** Layers that get the same inputs in all their places, and the rows that they are fitted by. */
export class SharedInputs {
  readonly pairs: readonly LayerPair[];
  /** What the dense layers give at these rows. */
  readonly outputBytes: number;
  readonly #draws: readonly RowDraw[];
  /** Of each batch, by its first sample: by place and layer. */
  #outputs = new Map<number, readonly (readonly Fetched[])[]>();

  constructor(pairs: readonly LayerPair[], seen: Survey, context: RepairContext) {
    const [{ dense, pruned }] = pairs;
    const nPlaces = dense.places.length;
    const features = { dense: dense.features, pruned: pruned.features, nPlaces };
    this.pairs = pairs;
    this.#draws = dense.places.map((place) => new RowDraw(place, features, seen, context));
    const rows = this.#draws.reduce((sum, { count }) => sum + count, 0);
    this.outputBytes = pairs.reduce(
      (sum, { pruned: { groups, units } }) => sum + 4 * rows * groups * units,
      0,
    );
  }

  /** Runs the dense model's next stage for what its layers give. */
  static async readOutputs(shared: readonly SharedInputs[], run: StagedRun): Promise<void> {
    let rows: LayerRows[][][] = [];
    const stage = run.next(
      (builder) => {
        rows = shared.map((each) =>
          each.#draws.map(({ isDrawn }, place) =>
            each.pairs.map(({ dense, keptUnits }) =>
              appendOutputRows(builder, dense.places[place], dense, keptUnits, isDrawn),
            ),
          ),
        );
        return rows.flat(2).map(({ output }) => output);
      },
      (batch) => new Map(shared.flatMap((each, i) => feedsOf(rows[i], each.#draws, batch))),
    );
    for await (const { batch, results } of stage) {
      for (const [i, each] of shared.entries())
        each.#outputs.set(
          batch.start,
          rows[i].map((place) => place.map(({ output }) => present(results.get(output)))),
        );
    }
  }

  /** Runs the pruned model's next stage, and adds up products of what comes in with itself and what the dense layers give. */
  static async addUp(
    shared: readonly SharedInputs[],
    run: StagedRun,
    multiplier: RowMultiplier,
  ): Promise<Map<SharedInputs, Grams>> {
    const sums = shared.map((each) => new GramSum(each.#gramShape(), multiplier));
    const drawn = shared.map((each) => ({ layer: each.pairs[0].pruned, draws: each.#draws }));
    for await (const { span, inputs } of readInputRows(run, drawn)) {
      for (const [i, each] of shared.entries()) {
        const given = each.#outputs.get(span.start) ?? [];
        for (const [place, own] of inputs[i].entries())
          await sums[i].add(place, { span, inputs: own, outputs: given[place] });
        each.#outputs.delete(span.start);
      }
    }
    const grams = new Map<SharedInputs, Grams>();
    for (const [i, each] of shared.entries()) grams.set(each, await sums[i].finish());
    return grams;
  }

  #gramShape() {
    const [{ pruned }] = this.pairs;
    const { weight, groups, features, places } = pruned;
    return {
      weight,
      groups,
      features,
      places: places.length,
      units: this.pairs.map((pair) => pair.pruned.units),
    };
  }
}
