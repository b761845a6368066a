import type { LaneAxis, Lanes } from './lanes.ts';
import type { NodeFindings } from './structure-rule.ts';

const REASON = 'hangs together with other positions where the input has another size';

/** What an analysis says of a graph. */
type LanedGraph = Pick<NodeFindings, 'lanes' | 'axesOf'>;

/** An axis in two analyses of one graph, with as many positions in both. */
interface AxisPair {
  readonly value: string;
  readonly first: LaneAxis;
  readonly second: LaneAxis;
}

/**
 * Freezes in the first analysis what the second, of the same graph under other sizes of the input, does not confirm: sizes that fit by chance tie the wrong positions.
 * @param values names of all values of the graph
 */
export function freezeDisagreements(first: LanedGraph, second: LanedGraph, values: readonly string[]): void {
  const pairs = pairAxes(first, second, values);
  const [roots, others] = [new FreeRoots(first.lanes), new FreeRoots(second.lanes)];
  const visit = (see: (own: readonly number[], other: readonly number[], value: string) => void) => {
    for (const pair of pairs) {
      const positions = (pair.first ?? pair.second)?.[0].length ?? 0;
      for (let position = 0; position < positions; position++)
        see(roots.at(pair.first, position), others.at(pair.second, position), pair.value);
    }
  };
  const mates = new Mates();
  visit((own, other) => mates.pairSingle(own, other));
  visit((own, other) => mates.pairInOrder(own, other));
  const unmatched = new Map<number, string>();
  visit((own, other, value) => {
    for (const root of mates.unmatched(own, other)) if (!unmatched.has(root)) unmatched.set(root, value);
  });
  for (const [root, node] of unmatched) first.lanes.freeze(root, { node, operator: '', reason: REASON });
}

/** Each axis once; what follows the input cannot be compared. */
function pairAxes(first: LanedGraph, second: LanedGraph, values: readonly string[]): AxisPair[] {
  const seen = new Map<LaneAxis, LaneAxis>();
  return values.flatMap((value) => {
    const others = second.axesOf(value);
    return first.axesOf(value).flatMap((own, axis): AxisPair[] => {
      const other = others[axis] ?? null;
      if (own === other || (own !== null && seen.get(own) === other)) return [];
      if (own !== null) seen.set(own, other);
      const isOpen = own !== null && other !== null && own[0].length !== other[0].length;
      return isOpen ? [] : [{ value, first: own, second: other }];
    });
  });
}

/** The roots that can be removed, found once for all lanes that were joined. */
class FreeRoots {
  readonly #lanes: Lanes;
  readonly #known = new Map<number, readonly number[]>();

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  at(axis: LaneAxis, position: number): readonly number[] {
    if (axis?.length === 1) return this.#of(axis[0][position]);
    return [...new Set((axis ?? []).flatMap((column) => this.#of(column[position])))];
  }

  #of(lane: number): readonly number[] {
    if (lane < 0) return NONE;
    const joined = this.#lanes.find(lane);
    const known = this.#known.get(joined);
    if (known) return known;
    const roots = this.#lanes.rootsOf(joined).filter((root) => this.#lanes.obstacleOf(root) === null);
    this.#known.set(joined, roots);
    return roots;
  }
}

const NONE: readonly number[] = [];

/** Which root of the second analysis is which of the first. */
class Mates {
  readonly #mates = new Map<number, number>();
  readonly #owners = new Map<number, number>();

  /** Pairs two that are alone in a place. */
  pairSingle(own: readonly number[], others: readonly number[]): void {
    if (own.length === 1 && others.length === 1) this.#pair(own[0], others[0]);
  }

  /** Pairs those of a place that have none yet. */
  pairInOrder(own: readonly number[], others: readonly number[]): void {
    if (own.length < 2) return;
    const single = own.filter((root) => !this.#mates.has(root));
    const left = others.filter((root) => !this.#owners.has(root));
    if (single.length !== left.length) return;
    for (const [i, root] of single.entries()) this.#pair(root, left[i]);
  }

  /** Roots of the first analysis that the second does not have in the same place, or the other way round. */
  unmatched(own: readonly number[], others: readonly number[]): readonly number[] {
    const isSame =
      own.length === others.length && own.every((root, i) => this.#mates.get(root) === others[i]);
    if (isSame) return NONE;
    const lacking = own.filter((root) => !others.includes(this.#mates.get(root) ?? -1));
    const added = others.flatMap((root) => this.#owners.get(root) ?? []);
    return [...lacking, ...added.filter((root) => !own.includes(root))];
  }

  #pair(own: number, other: number): void {
    if (this.#mates.has(own) || this.#owners.has(other)) return;
    this.#mates.set(own, other);
    this.#owners.set(other, own);
  }
}
