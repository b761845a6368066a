/** One row's least squares, by elimination in float64. */
export interface RowProblem {
  /** Inputs of the dense and of the pruned layer, a row for each position. */
  readonly dense: readonly (readonly number[])[];
  readonly pruned: readonly (readonly number[])[];
  /** Of the dense layer. */
  readonly weights: readonly number[];
  /** Of the pruned layer. */
  readonly start: readonly number[];
  readonly offset?: number;
}

/** The `w` that minimises `|Xp w - (Xd d + offset)|^2 + 0.01 mean(diag Xp'Xp) |w - start|^2` and is zero where `start` is. */
export function solveRow({ dense, pruned, weights, start, offset = 0 }: RowProblem): number[] {
  const features = start.length;
  const damping =
    (0.01 * pruned.reduce((sum, row) => sum + row.reduce((total, value) => total + value * value, 0), 0)) /
    features;
  const support = [...start.keys()].filter((i) => start[i] !== 0);
  const rows = support.map((i) => [
    ...support.map((j) => pruned.reduce((sum, row) => sum + row[i] * row[j], 0) + (i === j ? damping : 0)),
    pruned.reduce((sum, row, at) => sum + row[i] * (dot(dense[at], weights) + offset), 0) +
      damping * start[i],
  ]);
  const solution = eliminate(rows);
  const result = start.map(() => 0);
  for (const [at, i] of support.entries()) result[i] = solution[at];
  return result;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/**
 * The row that keeps `count` weights, chosen in six steps: of those still kept the largest `x_j^2 / [A^-1]_jj`, equal ones by index, then what is kept solved for. `A = Xp'Xp + 0.01 mean(diag Xp'Xp)`.
 */
export function chooseRow(
  problem: Omit<RowProblem, 'start'>,
  count: number,
): { row: number[]; kept: number[] } {
  const { pruned, weights } = problem;
  const d = weights.length;
  const gram = weights.map((_, i) =>
    weights.map((_, j) => pruned.reduce((sum, row) => sum + row[i] * row[j], 0)),
  );
  const damping = (0.01 * gram.reduce((sum, row, i) => sum + row[i], 0)) / d;
  const damped = gram.map((row, i) => row.map((value, j) => value + (i === j ? damping : 0)));
  const inverse = weights.map((_, i) => eliminate(damped.map((row, j) => [...row, Number(i === j)]))[i]);
  let row = [...weights];
  let kept = [...row.keys()];
  for (let step = 1; step <= 6; step++) {
    const left = step === 6 ? count : Math.max(count, Math.ceil(d * (count / d) ** (step / 6)));
    const score = (i: number) => row[i] ** 2 / inverse[i];
    kept = kept.toSorted((i, j) => score(j) - score(i) || i - j).slice(0, left);
    row = solveRow({ ...problem, start: weights.map((value, i) => (kept.includes(i) ? value : 0)) });
  }
  return { row, kept: kept.toSorted((i, j) => i - j) };
}

/** Of rows `[coefficients, right side]`. */
export function eliminate(rows: number[][]): number[] {
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    const pivot = rows
      .slice(column)
      .reduce((best, row) => (Math.abs(row[column]) > Math.abs(best[column]) ? row : best));
    const at = rows.indexOf(pivot);
    [rows[column], rows[at]] = [pivot, rows[column]];
    for (const row of rows.slice(column + 1)) {
      const factor = row[column] / pivot[column];
      for (let k = column; k <= n; k++) row[k] -= factor * pivot[k];
    }
  }
  const solution = Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    const known = rows[i].slice(i + 1, n).reduce((sum, value, k) => sum + value * solution[i + 1 + k], 0);
    solution[i] = (rows[i][n] - known) / rows[i][i];
  }
  return solution;
}
