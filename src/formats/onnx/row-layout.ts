import type { RowLayout } from '../model.ts';

/** What an axis of a weight does in its layer: tells output units apart, or is summed over within one. */
export type AxisRole = 'unit' | 'sum';

/** A stretch of an axis with one role. */
interface Atom {
  readonly size: number;
  readonly role: AxisRole;
}

/**
 * The roles of a constant's elements, outermost first: the product of the sizes is the number of elements, in row-major
 * order. It knows nothing of axes, so a reshape leaves it as it is. Null where rows are not defined.
 */
export type AxisRoles = readonly Atom[] | null;

export function createRoles(shape: readonly number[] | null, roles: readonly AxisRole[]): AxisRoles {
  return shape === null || shape.length !== roles.length ? null : merge(shape, roles);
}

/** The roles before `Transpose(perm)` whose output has `shape` and `roles`. */
export function transposeRoles(
  roles: AxisRoles,
  shape: readonly number[] | null,
  perm: readonly number[],
): AxisRoles {
  const axes = cut(roles, shape);
  if (axes === null) return null;
  const before: Atom[][] = [];
  for (const [axis, source] of perm.entries()) before[source] = axes[axis];
  return join(before);
}

/** The roles of an operand of shape `operand` that was broadcast to `shape`; null where one element feeds several units. */
export function broadcastRoles(
  roles: AxisRoles,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): AxisRoles {
  const axes = cut(roles, shape);
  if (axes === null || operand === null || shape === null) return null;
  const kept: Atom[][] = [];
  const missing = shape.length - operand.length;
  for (const [axis, atoms] of axes.entries()) {
    if (axis >= missing && operand[axis - missing] === shape[axis]) kept.push(atoms);
    else if (atoms.some((atom) => atom.role === 'unit' && atom.size > 1)) return null;
  }
  return join(kept);
}

/** The roles of a tensor of shape `whole` of which the one described, of shape `part`, is a slice. */
export function sliceRoles(
  roles: AxisRoles,
  part: readonly number[] | null,
  whole: readonly number[] | null,
): AxisRoles {
  const axes = cut(roles, part);
  if (axes === null || part === null || whole === null || part.length !== whole.length) return null;
  const resized: Atom[][] = [];
  for (const [axis, atoms] of axes.entries()) {
    const role = axisRole(atoms);
    if (part[axis] === whole[axis]) resized.push(atoms);
    else if (role === null) return null;
    else resized.push([{ size: whole[axis], role }]);
  }
  return join(resized);
}

/** The roles of a tensor of which the one described, of shape `part`, is one position along a further axis: units of their own. */
export function stackRoles(
  roles: AxisRoles,
  part: readonly number[] | null,
  axis: number,
  size: number,
): AxisRoles {
  const axes = cut(roles, part);
  return axes === null ? null : join(axes.toSpliced(axis, 0, [{ size, role: 'unit' }]));
}

export function sameRoles(a: AxisRoles, b: AxisRoles): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((atom, i) => atom.size === b[i].size && atom.role === b[i].role);
}

/** The rows of a stored tensor with these roles; null where they have no such form. */
export function createRowLayout(roles: AxisRoles): RowLayout | null {
  if (roles === null) return null;
  const sizes = roles.map((atom) => atom.size);
  // Atoms alternate. Missing ones have size 1; at the front first, so that [out, in] is units and inner.
  if (roles.at(-1)?.role === 'unit') sizes.push(1);
  if (sizes.length > 4) return null;
  while (sizes.length < 4) sizes.unshift(1);
  const [outer, reduced, units, inner] = sizes;
  return { outer, reduced, units, inner };
}

function merge(sizes: readonly number[], roles: readonly AxisRole[]): Atom[] {
  return join(sizes.map((size, axis) => [{ size, role: roles[axis] }]));
}

/** Neighbours of one role become one atom; sizes of 1 tell nothing. */
function join(axes: readonly (readonly Atom[])[]): Atom[] {
  const joined: Atom[] = [];
  for (const atom of axes.flat()) {
    if (atom.size === 1) continue;
    const last = joined.at(-1);
    if (last?.role === atom.role) joined[joined.length - 1] = { ...last, size: last.size * atom.size };
    else joined.push(atom);
  }
  return joined;
}

/** The atoms of each axis of `shape`; null where an atom reaches over an axis's end. */
function cut(roles: AxisRoles, shape: readonly number[] | null): Atom[][] | null {
  if (roles === null || shape === null) return null;
  const rest = [...roles];
  const axes: Atom[][] = [];
  for (const size of shape) {
    const atoms: Atom[] = [];
    let open = size;
    while (open > 1) {
      const atom = rest.shift();
      if (atom === undefined) return null;
      if (open % atom.size === 0 && atom.size > 0) {
        atoms.push(atom);
        open /= atom.size;
      } else if (atom.size % open === 0) {
        atoms.push({ size: open, role: atom.role });
        rest.unshift({ size: atom.size / open, role: atom.role });
        open = 1;
      } else {
        return null;
      }
    }
    axes.push(atoms);
  }
  return rest.length === 0 ? axes : null;
}

/** The one role of an axis; an axis of size 1 counts as units. */
function axisRole(atoms: readonly Atom[]): AxisRole | null {
  const [first] = atoms;
  if (first === undefined) return 'unit';
  return atoms.every((atom) => atom.role === first.role) ? first.role : null;
}
