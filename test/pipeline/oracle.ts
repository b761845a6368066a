/** EMP as the definition reads, with a sort: the keep bits of one score vector. Slow and obvious. */
export function naiveKeep(scores: readonly number[], count: (nEff: number, n: number) => number): boolean[] {
  const magnitudes = scores.map(Math.abs);
  const largest = magnitudes.reduce((most, score) => Math.max(most, score), 0);
  if (largest === 0) return scores.map(() => true);
  const scaled = magnitudes.map((s) => s / largest);
  const sum = scaled.reduce((a, b) => a + b, 0);
  const squares = scaled.reduce((a, b) => a + b * b, 0);
  const nKeep = count((sum * sum) / squares, scores.length);
  const order = scores.map((_, i) => i).sort((a, b) => magnitudes[b] - magnitudes[a] || a - b);
  const keep = scores.map(() => false);
  for (const i of order.slice(0, nKeep)) keep[i] = true;
  return keep;
}

export function empCount(beta: number): (nEff: number, n: number) => number {
  return (nEff, n) => Math.min(n, Math.max(1, Math.floor(beta * nEff * (1 + 2 ** -40))));
}

/** Flat indices of the elements of each row, in row order, of a tensor read as `[outer, reduced, units, inner]`. */
export function naiveRows(layout: {
  outer: number;
  reduced: number;
  units: number;
  inner: number;
}): number[][] {
  const rows: number[][] = [];
  let flat = 0;
  for (let o = 0; o < layout.outer; o++) {
    for (let r = 0; r < layout.reduced; r++) {
      for (let u = 0; u < layout.units; u++) {
        for (let i = 0; i < layout.inner; i++) {
          rows[o * layout.units + u] ??= [];
          rows[o * layout.units + u].push(flat++);
        }
      }
    }
  }
  return rows;
}
