import { eliminate } from '../repair/normal-equations.ts';

/** What reads structures: `gram` over all inputs, `weights` by row, and which columns each structure is. */
export interface System {
  readonly gram: number[][];
  readonly weights: number[][];
  readonly columns: number[][];
}

export const range = (length: number) => [...Array(length).keys()];
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0);

/** `X' X / n`, of inputs a row each, with a number added to the diagonal. */
export function gramOf(inputs: readonly (readonly number[])[], damping: number): number[][] {
  const features = inputs[0].length;
  return range(features).map((i) =>
    range(features).map((j) => {
      const product = inputs.reduce((sum, row) => sum + row[i] * row[j], 0) / inputs.length;
      return product + (i === j ? damping : 0);
    }),
  );
}

/** The least error of any weights without the columns of `gone`, by the normal equations of what is left. */
function errorWithout({ gram, weights, columns }: System, gone: readonly number[]): number {
  const removed = new Set(gone.flatMap((structure) => columns[structure]));
  const kept = range(gram.length).filter((column) => !removed.has(column));
  return weights.reduce((sum, row) => {
    const fitted = eliminate(kept.map((i) => [...kept.map((j) => gram[i][j]), dot(gram[i], row)]));
    const change = row.map((value, column) =>
      removed.has(column) ? -value : fitted[kept.indexOf(column)] - value,
    );
    return (
      sum +
      dot(
        change,
        gram.map((own) => dot(own, change)),
      )
    );
  }, 0);
}

/** In the order of removal: which, and how much more the error is then. */
export function removeGreedily(systems: readonly System[]): { structure: number; increase: number }[] {
  const errorOf = (gone: readonly number[]) =>
    systems.reduce((sum, system) => sum + errorWithout(system, gone), 0);
  const count = systems[0].columns.length;
  const gone: number[] = [];
  const steps: { structure: number; increase: number }[] = [];
  while (gone.length < count) {
    const before = errorOf(gone);
    const candidates = range(count).filter((structure) => !gone.includes(structure));
    const tried = candidates.map((structure) => ({
      structure,
      increase: errorOf([...gone, structure]) - before,
    }));
    const best = tried.reduce((least, each) => (each.increase < least.increase ? each : least));
    gone.push(best.structure);
    steps.push(best);
  }
  return steps;
}
