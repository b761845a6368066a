import type { GraphAnalysis } from './analysis.ts';
import type { LaneAxis, Lanes } from './lanes.ts';

const REASON = 'hangs together with other positions where the input has another size';

/** An axis in two analyses of one graph. */
interface AxisPair {
  readonly value: string;
  readonly first: LaneAxis;
  readonly second: LaneAxis;
}

/**
 * Freezes in the first analysis what the second, of the same graph under other sizes of the input, does not confirm: sizes that fit by chance tie the wrong positions.
 * @param values names of all values of the graph
 */
export function freezeDisagreements(
  first: GraphAnalysis,
  second: GraphAnalysis,
  values: readonly string[],
): void {
  const pairs = pairAxes(first, second, values);
  const mates = new Mates();
  for (const pair of pairs) {
    for (const [own, others] of rootSets(pair, first.lanes, second.lanes)) mates.pair(own, others);
  }
  for (const pair of pairs) {
    for (const [own, others] of rootSets(pair, first.lanes, second.lanes)) {
      for (const root of mates.unmatched(own, others))
        first.lanes.freeze(root, { node: pair.value, operator: '', reason: REASON });
    }
  }
}

/** Axes that have as many positions in both, each once; what follows the input cannot be compared. */
function pairAxes(first: GraphAnalysis, second: GraphAnalysis, values: readonly string[]): AxisPair[] {
  const seen = new Map<LaneAxis, LaneAxis>();
  return values.flatMap((value) => {
    const others = second.axesOf(value);
    return first.axesOf(value).flatMap((own, axis): AxisPair[] => {
      const other = others[axis] ?? null;
      if (own !== null && seen.get(own) === other) return [];
      if (own !== null) seen.set(own, other);
      const isOpen = own !== null && other !== null && own[0].length !== other[0].length;
      return isOpen || own === other ? [] : [{ value, first: own, second: other }];
    });
  });
}

/** The roots that can be removed of every position, in both. */
function* rootSets({ first, second }: AxisPair, lanes: Lanes, others: Lanes): Generator<[number[], number[]]> {
  const positions = (first ?? second)?.[0].length ?? 0;
  const free = (of: Lanes, axis: LaneAxis, position: number) =>
    of.rootsAt(axis, position).filter((root) => of.obstacleOf(root) === null);
  for (let position = 0; position < positions; position++)
    yield [free(lanes, first, position), free(others, second, position)];
}

/** Which root of the second analysis is which of the first. */
class Mates {
  readonly #mates = new Map<number, number>();
  readonly #owners = new Map<number, number>();

  /** Pairs those that have none yet, in order. */
  pair(own: readonly number[], others: readonly number[]): void {
    const single = own.filter((root) => !this.#mates.has(root));
    const left = others.filter((root) => !this.#owners.has(root));
    for (const [i, root] of single.slice(0, left.length).entries()) {
      this.#mates.set(root, left[i]);
      this.#owners.set(left[i], root);
    }
  }

  /** Roots of the first analysis that the second does not have in the same place, or the other way round. */
  unmatched(own: readonly number[], others: readonly number[]): number[] {
    const lacking = own.filter((root) => !others.includes(this.#mates.get(root) ?? -1));
    const added = others.flatMap((root) => this.#owners.get(root) ?? []);
    return [...lacking, ...added.filter((root) => !own.includes(root))];
  }
}
