import type { PartStatistics } from './part-statistics.ts';

/**
 * Gives features of which no sample has a number, as those of an expert that the router never chose, what the others have on average: of the same weight, where it has any, else of all. Zeros would say that
 * it can go, and nothing is known of it. Figures end with the count of numbers.
 * @returns the share of each layer's features that had none, where the others have some
 */
export function fillUnreached(layers: readonly (readonly PartStatistics[])[]): number[] {
  const of = layers.map(averagesOf);
  const all = averagesOf(layers.flat());
  return layers.map((parts, index) => {
    const averages = of[index] ?? all;
    if (averages === null) return 0;
    let [filled, total] = [0, 0];
    for (const { figures } of parts) {
      const counts = figures[figures.length - 1].slice();
      total += counts.length;
      for (let feature = 0; feature < counts.length; feature++) {
        if (counts[feature] > 0) continue;
        filled++;
        for (const [i, own] of figures.entries()) own[feature] = averages[i];
      }
    }
    return filled / total;
  });
}

/** Of each figure, over the features that samples reached; null for none. */
function averagesOf(parts: readonly PartStatistics[]): number[] | null {
  const sums: number[] = [];
  let reached = 0;
  for (const { figures } of parts) {
    const counts = figures[figures.length - 1];
    for (let feature = 0; feature < counts.length; feature++) {
      if (counts[feature] === 0) continue;
      reached++;
      for (const [i, own] of figures.entries()) sums[i] = (sums[i] ?? 0) + own[feature];
    }
  }
  return reached === 0 ? null : sums.map((sum) => sum / reached);
}
