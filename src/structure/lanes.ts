import { EmpError } from '../core/errors.ts';

/** Why something cannot be removed, and the node that says so. */
export interface Obstacle {
  readonly node: string;
  readonly operator: string;
  readonly reason: string;
}

/**
 * What the positions of one axis hang on, as columns of lanes: position p disappears when any of the lanes `column[p]` is removed (-1: none). Null
 * for an axis that can never shrink.
 */
export type LaneAxis = readonly Int32Array[] | null;

/** Whether a position hangs on the very lanes of the one before it, as all of an image of one channel do. */
export function isRepeated(axis: NonNullable<LaneAxis>, position: number): boolean {
  return position > 0 && axis.every((column) => column[position] === column[position - 1]);
}

/** Half a gigabyte. A language model of eight billion parameters has a few million. */
const MAX_LANES = 2 ** 25;
/** Comparisons that take less time than a set is made in. */
const FEW = 64;

/**
 * Lanes are removable indices. Operators state which lanes of their inputs and outputs go together; lanes that do are joined (union-find), and a lane that stands for
 * several, such as one position of `heads x width` after a reshape, is defined by them: it goes when any of them goes. What is neither joined into another nor
 * defined by others is a *root*: it can be removed alone, with all that hangs on it.
 *
 * Whatever is stated holds for every set of removed roots. A statement that cannot be expressed joins all lanes in it into one, which is sound: all or none.
 */
export class Lanes {
  readonly #parent: number[] = [];
  readonly #parts = new Map<number, readonly number[]>();
  readonly #frozen = new Map<number, Obstacle>();

  get count(): number {
    return this.#parent.length;
  }

  /** @throws EmpError unsupported_model beyond all that a model of any use has */
  create(): number {
    if (this.#parent.length === MAX_LANES)
      throw new EmpError(
        'unsupported_model',
        `the model's axes have more than ${MAX_LANES} positions together`,
      );
    return this.#parent.push(this.#parent.length) - 1;
  }

  /** A lane of its own for every position; an axis of one position cannot shrink. */
  createAxis(size: number): LaneAxis {
    return size > 1 ? [Int32Array.from({ length: size }, () => this.create())] : null;
  }

  /** The roots that a lane hangs on. */
  rootsOf(lane: number): number[] {
    const root = this.find(lane);
    if (!this.#parts.has(root)) return [root];
    const roots = new Set<number>();
    this.#collect(root, roots);
    return [...roots];
  }

  /** The roots that a position hangs on, in the order of the axis's columns. */
  rootsAt(axis: LaneAxis, position: number): number[] {
    if (axis?.length === 1) return axis[0][position] >= 0 ? this.rootsOf(axis[0][position]) : [];
    const roots = new Set<number>();
    for (const column of axis ?? []) if (column[position] >= 0) this.#collect(column[position], roots);
    return [...roots];
  }

  /** Why a root must stay; null where it need not. */
  obstacleOf(root: number): Obstacle | null {
    return this.#frozen.get(root) ?? null;
  }

  /** The first obstacle that a root meets is the one that is kept. */
  freeze(lane: number, obstacle: Obstacle): void {
    for (const root of this.rootsOf(lane)) if (!this.#frozen.has(root)) this.#frozen.set(root, obstacle);
  }

  freezeAxis(
    axis: LaneAxis,
    obstacle: Obstacle,
    isAffected: (position: number) => boolean = () => true,
  ): void {
    for (const column of axis ?? []) {
      let last = -1;
      for (const [position, lane] of column.entries()) {
        if (lane < 0 || lane === last || !isAffected(position)) continue;
        this.freeze(lane, obstacle);
        last = lane;
      }
    }
  }

  /** States that the positions of two axes go together, one by one. */
  tie(a: LaneAxis, b: LaneAxis, obstacle: Obstacle): void {
    if (a === b) return;
    if (a === null || b === null || a[0].length !== b[0].length) {
      this.freezeAxis(a, obstacle);
      this.freezeAxis(b, obstacle);
      return;
    }
    for (let position = 0; position < a[0].length; position++) {
      if (isRepeated(a, position) && isRepeated(b, position)) continue;
      this.equate(this.rootsAt(a, position), this.rootsAt(b, position), obstacle);
    }
  }

  /** States that one of the roots `a` goes exactly when one of the roots `b` does. */
  equate(a: readonly number[], b: readonly number[], obstacle: Obstacle): void {
    const onlyA = without(a, b);
    const onlyB = without(b, a);
    if (onlyA.length === 0 && onlyB.length === 0) return;
    if (a.length === 0 || b.length === 0) {
      for (const root of [...a, ...b]) this.freeze(root, obstacle);
    } else if (onlyA.length === onlyB.length) {
      for (const [i, root] of onlyA.entries()) this.#join(root, onlyB[i]);
    } else if (a.length === 1 && onlyA.length === 1) {
      this.#define(a[0], b);
    } else if (b.length === 1 && onlyB.length === 1) {
      this.#define(b[0], a);
    } else {
      const all = [...new Set([...a, ...b])];
      for (const root of all.slice(1)) this.#join(all[0], root);
    }
  }

  /** Joins what may have been joined before. */
  #join(a: number, b: number): void {
    const [root, other] = [this.find(a), this.find(b)];
    if (root === other) return;
    const [kept, gone] = root < other ? [root, other] : [other, root];
    this.#parent[gone] = kept;
    const obstacle = this.#frozen.get(kept) ?? this.#frozen.get(gone);
    if (obstacle) this.#frozen.set(kept, obstacle);
  }

  #define(root: number, parts: readonly number[]): void {
    const obstacle = this.#frozen.get(root);
    this.#parts.set(root, [...parts]);
    if (obstacle) for (const part of parts) this.freeze(part, obstacle);
  }

  /** The lane that stands for all that were joined with one. */
  find(lane: number): number {
    const parent = this.#parent;
    let root = lane;
    while (parent[root] !== root) {
      parent[root] = parent[parent[root]];
      root = parent[root];
    }
    return root;
  }

  /** Adds to `roots` those of a lane, in their order; parts that several lanes have are looked into once. */
  #collect(lane: number, roots: Set<number>): void {
    const first = this.find(lane);
    if (!this.#parts.has(first)) {
      roots.add(first);
      return;
    }
    const seen = new Set<number>();
    const open = [first];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const root = this.find(next);
      if (seen.has(root)) continue;
      seen.add(root);
      const parts = this.#parts.get(root);
      if (parts) for (const part of parts.toReversed()) open.push(part);
      else roots.add(root);
    }
  }
}

/** Those of the roots that are not among others. */
function without(roots: readonly number[], others: readonly number[]): number[] {
  if (roots.length * others.length < FEW) return roots.filter((root) => !others.includes(root));
  const known = new Set(others);
  return roots.filter((root) => !known.has(root));
}
