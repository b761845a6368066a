/** Which positions of an axis were taken, in the order in which they stand in what was made of them. */
export type Picks =
  /** `count` of them, `step` apart. */
  { readonly first: number; readonly step: number; readonly count: number } | readonly number[];

export function pickCount(picks: Picks): number {
  return isListed(picks) ? picks.length : picks.count;
}

/** The position that the `index`th one of those taken had. */
export function pickAt(picks: Picks, index: number): number {
  return isListed(picks) ? picks[index] : picks.first + index * picks.step;
}

/** Positions that were taken of positions that were taken. */
export function pickOf(picks: Picks, of: Picks | null): Picks {
  if (of === null) return picks;
  if (isListed(picks) || isListed(of))
    return Array.from({ length: pickCount(of) }, (_, index) => pickAt(picks, pickAt(of, index)));
  return { first: pickAt(picks, of.first), step: picks.step * of.step, count: of.count };
}

/** Which of those taken each position became; undefined for one that was not. Of one taken twice the last counts. */
export function indexOfPick(picks: Picks): (position: number) => number | undefined {
  if (isListed(picks)) {
    const indices = new Map(picks.map((position, index) => [position, index]));
    return (position) => indices.get(position);
  }
  const { first, step, count } = picks;
  return (position) => {
    const index = step === 0 ? Number(position !== first) : (position - first) / step;
    return Number.isInteger(index) && index >= 0 && index < count ? index : undefined;
  };
}

/** Whether a position was taken twice. */
export function hasRepeats(picks: Picks): boolean {
  return isListed(picks) ? new Set(picks).size < picks.length : picks.step === 0 && picks.count > 1;
}

function isListed(picks: Picks): picks is readonly number[] {
  return Array.isArray(picks);
}
