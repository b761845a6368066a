import type { GraphAnalysis } from './analysis.ts';
import { isRepeated, type LaneAxis } from './lanes.ts';

/** An axis of which one position has to stay, as what each position goes with: roots of structures, any of which takes it away. */
export type LastingAxis = readonly (readonly number[])[];

/** What is asked of a family. */
interface Family {
  readonly structures: readonly { readonly root: number }[];
}

/**
 * Axes of a graph's values that could lose all positions though every family keeps a structure: a part of a Split or Slice, a Reshape that puts one family along two axes. An axis of
 * no positions is refused by poolings and convolutions, and nothing would pass.
 */
export function findLastingAxes(
  { model: { graph }, lanes, axesOf }: GraphAnalysis,
  families: readonly Family[],
): LastingAxis[] {
  const familyOf = new Map(
    families.flatMap((family) => family.structures.map(({ root }) => [root, family] as const)),
  );
  const positionsOf = (axis: NonNullable<LaneAxis>): LastingAxis | null => {
    const positions = new Map<string, readonly number[]>();
    for (const position of axis[0].keys()) {
      if (isRepeated(axis, position)) continue;
      const roots = lanes.rootsAt(axis, position).filter((root) => familyOf.has(root));
      if (roots.length === 0) return null;
      positions.set(roots.join(), roots);
    }
    return [...positions.values()];
  };
  const seen = new Set<LaneAxis>();
  const found = new Map<string, LastingAxis>();
  for (const { inputs, outputs } of graph.nodes) {
    for (const value of [...inputs, ...outputs]) {
      for (const axis of value?.graph === graph ? axesOf(value.name) : []) {
        if (axis === null || seen.has(axis)) continue;
        seen.add(axis);
        const positions = positionsOf(axis);
        if (positions && !lastsAnyway(positions, familyOf)) found.set(positions.join('|'), positions);
      }
    }
  }
  return [...found.values()];
}

/** Whether a position stays where every family keeps a structure: each structure of one is a position, or each choice of one structure from several families. */
function lastsAnyway(positions: LastingAxis, familyOf: ReadonlyMap<number, Family>): boolean {
  const alone = new Map<Family | undefined, number>();
  const together = new Set<Family | undefined>();
  for (const roots of positions) {
    const families = new Set(roots.map((root) => familyOf.get(root)));
    if (families.size < roots.length) return false;
    for (const family of families) together.add(family);
    if (roots.length === 1) for (const family of families) alone.set(family, (alone.get(family) ?? 0) + 1);
  }
  if ([...alone].some(([family, count]) => family?.structures.length === count)) return true;
  const choices = [...together].reduce((product, family) => product * (family?.structures.length ?? 0), 1);
  return positions.every((roots) => roots.length === together.size) && positions.length === choices;
}
