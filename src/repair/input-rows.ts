import { type Fetched, present } from '../formats/numbers.ts';
import type { Batch } from '../runtime/batches.ts';
import type { StagedRun } from '../runtime/staged-run.ts';
import type { FittableLayer } from './fittable-layers.ts';
import { appendInputRows, type LayerRows } from './layer-rows.ts';
import type { RowDraw } from './row-draw.ts';

/** A layer, and which rows of its inputs are looked at in each of its places. */
export interface DrawnInputs {
  readonly layer: FittableLayer;
  readonly draws: readonly RowDraw[];
}

/** What comes into layers in one batch. */
interface InputRows {
  readonly span: Pick<Batch, 'start' | 'count' | 'order'>;
  /** By layer and place: `[groups, rows, features]`, float32. */
  readonly inputs: readonly (readonly Fetched[])[];
}

/** Runs a model's next stage, and gives the rows that come into layers, batch by batch. Throws as `StagedRun.next`. */
export async function* readInputRows(
  run: StagedRun,
  layers: readonly DrawnInputs[],
): AsyncGenerator<InputRows> {
  let rows: LayerRows[][] = [];
  const stage = run.next(
    (builder) => {
      rows = layers.map(({ layer, draws }) =>
        draws.map(({ isDrawn }, place) =>
          appendInputRows(builder, layer.places[place].input, layer, isDrawn),
        ),
      );
      return rows.flat().map(({ output }) => output);
    },
    (batch) =>
      new Map(
        layers.flatMap(({ draws }, i) =>
          feedsOf(
            rows[i].map((place) => [place]),
            draws,
            batch,
          ),
        ),
      ),
  );
  for await (const { batch: span, results } of stage)
    yield { span, inputs: rows.map((places) => places.map(({ output }) => present(results.get(output)))) };
}

/** What the inputs take that were added for rows of each place. */
export function feedsOf(
  rows: readonly (readonly LayerRows[])[],
  draws: readonly RowDraw[],
  batch: Pick<Batch, 'start' | 'count'>,
): [string, Fetched][] {
  return rows.flatMap((place, i) =>
    place.flatMap(({ drawn }): [string, Fetched][] =>
      drawn === null ? [] : [[drawn.input, draws[i].feed(drawn.by, batch)]],
    ),
  );
}
