import { elementCount } from '../formats/model.ts';
import type { Fetched } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import { GraphAppendix, writeAppended } from '../graph/appendix.ts';
import { type Batch, planBatches, readFirstBatch, runBatch } from '../runtime/batches.ts';
import { openSession, UNOPTIMIZED } from '../runtime/session.ts';
import type { ReadModel } from '../runtime/staged-run.ts';
import type { LayerInput, LayerPlace } from './fittable-layers.ts';
import { countPositions, drawPositions, drawShares, patchIndices } from './patch-positions.ts';
import type { RepairContext } from './repair-context.ts';

/** Rows that a layer is fitted by: for each feature so many, and never fewer than these, which cost little of few features. More make the fit hardly better. */
const ROWS_PER_FEATURE = 4;
const MIN_ROWS = 10_240;

/** What the dense model's runs are like. */
export interface Survey {
  /** Samples of a batch. */
  readonly batchSize: number;
  /** What values of so many samples are like: their shapes, by name. */
  readonly nSamples: number;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

/** Runs the dense model on a sample or two, for sizes: of batches, and of the inputs of layers. Throws as `openSession` and `planBatches`. */
export async function survey(
  dense: ReadModel,
  values: Iterable<string>,
  {
    samples,
    scratchDirectory,
    runtime,
    signal,
  }: Pick<RepairContext, 'samples' | 'scratchDirectory' | 'runtime' | 'signal'>,
): Promise<Survey> {
  const appendix = new GraphAppendix(dense.model);
  const sizes = new Map(
    [...new Set(values)].map((value) => [
      value,
      appendix.output(appendix.op('Shape', [value]), TensorProto_DataType.INT64),
    ]),
  );
  await using scratch = await makeScratchFolder(scratchDirectory, 'survey-');
  const path = await writeAppended(dense, appendix.toBytes(), scratch.path);
  await using session = await openSession(path, runtime, UNOPTIMIZED);
  const own = dense.model.graph.outputs.map(({ name }) => name);
  const fetches = [...sizes.values()];
  const { size, ofOne } = await planBatches(session, samples, fetches, signal, undefined, own);
  const first = ofOne ?? (await runBatch(session, await readFirstBatch(samples, size, signal), fetches));
  const shapeOf = (output: string) => Array.from(first.get(output)?.data ?? [], Number);
  return {
    batchSize: size,
    nSamples: ofOne ? 1 : size,
    shapes: new Map([...sizes].map(([value, output]) => [value, shapeOf(output)])),
  };
}

/** A batch, by its first sample and how many there are. */
type BatchSpan = Pick<Batch, 'start' | 'count'>;

/**
 * Which rows of a layer are looked at in one place: of a convolution some positions of every image, of a product some rows of a batch. One is drawn of each of as many stretches of equal length, anew for
 * every batch.
 */
export class RowDraw {
  /** Of all samples together. */
  readonly count: number;
  /** Whether there are others. */
  readonly isDrawn: boolean;
  readonly #input: LayerInput;
  readonly #spatial: readonly number[];
  /** Positions of an image, rows of a sample. */
  readonly #all: number;
  readonly #wanted: number;

  /**
   * @param place of the dense layer
   * @param dense its features, of one group
   * @param pruned those of the layer that is fitted
   */
  constructor(
    { input }: LayerPlace,
    { dense, pruned, nPlaces }: { readonly dense: number; readonly pruned: number; readonly nPlaces: number },
    { nSamples, shapes }: Survey,
    { samples, rowsPerFeature = ROWS_PER_FEATURE }: Pick<RepairContext, 'samples' | 'rowsPerFeature'>,
  ) {
    const shape = shapes.get(input.value) ?? [];
    const isPatches = input.how === 'patches';
    this.#input = input;
    this.#spatial = shape.slice(2);
    this.#all = isPatches
      ? countPositions(input.window, this.#spatial)
      : elementCount(shape) / dense / nSamples;
    const nImages = isPatches ? (shape[0] / nSamples) * samples.nSamples : samples.nSamples;
    this.#wanted = Math.max(MIN_ROWS, rowsPerFeature * pruned) / (nPlaces * nImages);
    this.isDrawn = this.#wanted < this.#all;
    this.count = nImages * Math.min(this.#all, Math.ceil(this.#wanted));
  }

  /** What a graph that is told `by` this is fed for a batch. */
  feed(by: 'patches' | 'positions' | 'shares', { start, count }: BatchSpan): Fetched {
    if (by === 'shares') {
      const data = drawShares(Math.ceil(count * this.#wanted), start);
      return { dtype: 'float64', shape: [data.length], data };
    }
    const positions = drawPositions(this.#all, Math.ceil(this.#wanted), start);
    const data =
      this.#input.how === 'patches' && by === 'patches'
        ? patchIndices(this.#input.window, this.#spatial, positions)
        : BigInt64Array.from(positions, BigInt);
    return { dtype: 'int64', shape: [data.length], data };
  }
}
