import { readStoredGraph } from '../../graph/interface.ts';
import { inputsKey, toMatrix } from '../../repair/fittable-layers.ts';
import { type InputGram, measureGrams, planStages } from '../../repair/input-grams.ts';
import { MatrixInverter } from '../../repair/matrix-inverter.ts';
import { readNumbers } from '../../repair/tensor-edits.ts';
import { consumersOf } from '../../structure/families.ts';
import { type CriterionContext, type StructureScorer, samplesOf } from '../context.ts';
import { dampedGram } from '../damped-gram.ts';
import { type Reading, removalErrors } from '../greedy-removal.ts';
import { checkReaders, type MatrixReader, readersOf } from '../matrix-readers.ts';

/**
 * `s^2 = tr(W_c (H_cc)^-1 W_c')` when structure c is removed, the least first, added up over the layers that read it (optimal brain surgeon by columns, Kurtic et al., arXiv 2302.04089). W is a layer's matrix, c the
 * structure's columns of it, H the inverse of `A = X' X / n + damping`. X are n rows that come into the layer of the dense model, less their mean where a bias or a BatchNormalization can make up for that.
 * Where one adds less than one that went before it, its score is the next number above that one's: the highest scores are what greedy removal leaves. Every family is scored as if no other lost anything.
 * @throws EmpError what `checkReaders`, `readersOf` and `measureGrams` throw
 */
export const score: StructureScorer<'obs'> = async (families, context) => {
  const { inventory } = context.model;
  const model = await readStoredGraph(context.model);
  const sided = families.map((family) => ({ ...family, weights: consumersOf(family) }));
  const layers = checkReaders('obs', sided, model, inventory);
  const readers = readersOf('obs', families, layers, model, inventory);
  const scores = families.map(({ structures }) => new Float64Array(structures.length));
  const layersOf = (family: number) => readers[family].map(({ layer }) => layer);
  const stages = planStages(families.map((_, family) => layersOf(family)));
  await using inverter = await MatrixInverter.open(context.runtime);
  let next = 0;
  for await (const grams of measureGrams(
    { ...context.model, model },
    stages.map((stage) => stage.flatMap(layersOf)),
    { ...context, samples: samplesOf(context) },
  )) {
    for (const family of stages[next++]) {
      const readings: Reading[] = [];
      for (const [first, ...others] of sharingColumns(readers[family])) {
        const gram = grams.get(inputsKey(first.layer));
        if (gram) readings.push(...(await readingsOf([first, ...others], gram, inverter, context)));
      }
      scores[family] = removalErrors(scores[family].length, readings);
    }
  }
  return scores;
};

/** Readers of the same columns of the same inputs are one, with the rows of all of them. */
function sharingColumns(readers: readonly MatrixReader[]): Iterable<MatrixReader[]> {
  return Map.groupBy(readers, ({ layer, isCentred, columns }) =>
    JSON.stringify([inputsKey(layer), isCentred, columns]),
  ).values();
}

/** One for each group; none of a group into which nothing comes. */
async function readingsOf(
  readers: readonly MatrixReader[],
  gram: InputGram,
  inverter: MatrixInverter,
  { model, signal }: CriterionContext,
): Promise<Reading[]> {
  const [{ layer, isCentred, columns }] = readers;
  const { groups, features } = layer;
  const matrices: Float64Array[] = [];
  for (const { layer: each } of readers) matrices.push(toMatrix(each, await readNumbers(model, each.weight)));
  const readings: Reading[] = [];
  for (let group = 0; group < groups; group++) {
    signal.throwIfAborted();
    const own = columns.map((all) =>
      all.filter((column) => Math.floor(column / features) === group).map((column) => column % features),
    );
    const damped = own[0].length === 0 ? null : dampedGram(gram, group, features, isCentred);
    if (damped === null) continue;
    const inverse = await inverter.invert(damped, features);
    const taken = own.flat();
    readings.push({
      width: own[0].length,
      rows: readers.reduce((sum, each) => sum + each.layer.units, 0),
      weights: columnsOf(readers, matrices, group, taken),
      inverse: squareOf(inverse, features, taken),
    });
  }
  return readings;
}

/** Some rows of `[size, size]`, and the same columns. */
function squareOf(matrix: Float64Array, size: number, taken: readonly number[]): Float64Array {
  const square = new Float64Array(taken.length ** 2);
  let at = 0;
  for (const row of taken) for (const column of taken) square[at++] = matrix[row * size + column];
  return square;
}

/** `[columns, rows]` of the matrices of one group, one below the other. */
function columnsOf(
  readers: readonly MatrixReader[],
  matrices: readonly Float64Array[],
  group: number,
  columns: readonly number[],
): Float64Array {
  const rows = readers.reduce((sum, { layer }) => sum + layer.units, 0);
  const taken = new Float64Array(columns.length * rows);
  let first = 0;
  for (const [i, { layer }] of readers.entries()) {
    const { units, features } = layer;
    for (const [at, column] of columns.entries())
      for (let unit = 0; unit < units; unit++)
        taken[at * rows + first + unit] = matrices[i][(group * units + unit) * features + column];
    first += units;
  }
  return taken;
}
