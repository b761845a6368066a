import type { RowLayout } from '../../formats/model.ts';
import { type AtomKind, cutAtoms, joinAtoms, transposeAtoms } from './stretches.ts';

/** What an axis of a weight does in its layer: tells output units apart, or is summed over within one. */
export type AxisRole = 'unit' | 'sum';

/** A stretch of an axis with one role. */
interface RoleAtom {
  readonly size: number;
  readonly role: AxisRole;
}

/** Neighbours of one role are one. */
const ROLES: AtomKind<RoleAtom> = {
  merge: (outer, { size, role }) => (outer.role === role ? { size: outer.size * size, role } : null),
  split: ({ size, role }, pieces) => [
    { size: pieces, role },
    { size: size / pieces, role },
  ],
};

/**
 * The roles of a constant's elements, outermost first: the product of the sizes is the number of elements, in row-major
 * order. It knows nothing of axes, so a reshape leaves it as it is. Null where rows are not defined.
 */
export type AxisRoles = readonly RoleAtom[] | null;

export function createRoles(shape: readonly number[] | null, roles: readonly AxisRole[]): AxisRoles {
  if (shape === null || shape.length !== roles.length) return null;
  return joinAtoms(
    ROLES,
    shape.map((size, axis) => [{ size, role: roles[axis] }]),
  );
}

/** The roles before `Transpose(perm)` whose output has `shape` and `roles`. */
export function transposeRoles(
  roles: AxisRoles,
  shape: readonly number[] | null,
  perm: readonly number[],
): AxisRoles {
  return transposeAtoms(ROLES, roles, shape, perm);
}

/** The roles of an operand of shape `operand` that was broadcast to `shape`; null where one element feeds several units. */
export function broadcastRoles(
  roles: AxisRoles,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): AxisRoles {
  const axes = cutAtoms(ROLES, roles, shape);
  if (axes === null || operand === null || shape === null) return null;
  const kept: RoleAtom[][] = [];
  const missing = shape.length - operand.length;
  for (const [axis, atoms] of axes.entries()) {
    if (axis >= missing && operand[axis - missing] === shape[axis]) kept.push(atoms);
    else if (atoms.some((atom) => atom.role === 'unit' && atom.size > 1)) return null;
  }
  return joinAtoms(ROLES, kept);
}

/** The roles of a tensor of shape `whole` of which the one described, of shape `part`, is a slice. */
export function sliceRoles(
  roles: AxisRoles,
  part: readonly number[] | null,
  whole: readonly number[] | null,
): AxisRoles {
  const axes = cutAtoms(ROLES, roles, part);
  if (axes === null || part === null || whole === null || part.length !== whole.length) return null;
  const resized: RoleAtom[][] = [];
  for (const [axis, atoms] of axes.entries()) {
    const role = axisRole(atoms);
    if (part[axis] === whole[axis]) resized.push(atoms);
    else if (role === null) return null;
    else resized.push([{ size: whole[axis], role }]);
  }
  return joinAtoms(ROLES, resized);
}

/** The roles of a tensor of which the one described, of shape `part`, is one position along a further axis: units of their own. */
export function stackRoles(
  roles: AxisRoles,
  part: readonly number[] | null,
  axis: number,
  size: number,
): AxisRoles {
  const axes = cutAtoms(ROLES, roles, part);
  return axes === null ? null : joinAtoms(ROLES, axes.toSpliced(axis, 0, [{ size, role: 'unit' }]));
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

/** The one role of an axis; an axis of size 1 counts as units. */
function axisRole(atoms: readonly RoleAtom[]): AxisRole | null {
  const [first] = atoms;
  if (first === undefined) return 'unit';
  return atoms.every((atom) => atom.role === first.role) ? first.role : null;
}
