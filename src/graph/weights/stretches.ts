/** A stretch of an array's flat index over which something is said of its elements. */
export interface Atom {
  readonly size: number;
}

/** How atoms that say one kind of thing are put together and taken apart. */
export interface AtomKind<A extends Atom> {
  /** One atom in the place of two neighbours; null where they say different things. */
  readonly merge: (outer: A, inner: A) => A | null;
  /** The atom as `size` pieces, and one of them. */
  readonly split: (atom: A, size: number) => readonly [A, A];
}

/** Neighbours that can be are merged, so that the same said twice looks the same; sizes of 1 tell nothing. */
export function joinAtoms<A extends Atom>(kind: AtomKind<A>, axes: readonly (readonly A[])[]): A[] {
  const joined: A[] = [];
  for (const atom of axes.flat()) {
    if (atom.size === 1) continue;
    const last = joined.at(-1);
    const merged = last === undefined ? null : kind.merge(last, atom);
    if (merged === null) joined.push(atom);
    else joined[joined.length - 1] = merged;
  }
  return joined;
}

/** The atoms of each axis of `shape`; null where an atom reaches over an axis's end. */
export function cutAtoms<A extends Atom>(
  kind: AtomKind<A>,
  atoms: readonly A[] | null,
  shape: readonly number[] | null,
): A[][] | null {
  if (atoms === null || shape === null) return null;
  const rest = [...atoms];
  const axes: A[][] = [];
  for (const size of shape) {
    const axis: A[] = [];
    let open = size;
    while (open > 1) {
      const atom = rest.shift();
      if (atom === undefined) return null;
      if (open % atom.size === 0 && atom.size > 0) {
        axis.push(atom);
        open /= atom.size;
      } else if (atom.size % open === 0) {
        const [outer, inner] = kind.split(atom, open);
        axis.push(outer);
        rest.unshift(inner);
        open = 1;
      } else {
        return null;
      }
    }
    axes.push(axis);
  }
  return rest.length === 0 ? axes : null;
}

/** The atoms before `Transpose(perm)` whose output has `shape` and `atoms`. */
export function transposeAtoms<A extends Atom>(
  kind: AtomKind<A>,
  atoms: readonly A[] | null,
  shape: readonly number[] | null,
  perm: readonly number[],
): A[] | null {
  const axes = cutAtoms(kind, atoms, shape);
  if (axes === null) return null;
  const before: A[][] = [];
  for (const [axis, source] of perm.entries()) before[source] = axes[axis];
  return joinAtoms(kind, before);
}
