import type { RowLayout } from '../../formats/model.ts';
import {
  broadcastSegments,
  cutSegments,
  joinSegments,
  resizeSegments,
  type SegmentKind,
  transposeSegments,
} from './segments.ts';

/** What an axis of a weight does in its layer: tells output units apart, or is summed over within one. */
export type AxisRole = 'unit' | 'sum';

/** A stretch of an axis with one role. */
interface RoleSegment {
  readonly size: number;
  readonly role: AxisRole;
}

/** Neighbours of one role are one. */
const ROLES: SegmentKind<RoleSegment> = {
  isPlain: ({ role, size }) => role === 'sum' || size <= 1,
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
export type AxisRoles = readonly RoleSegment[] | null;

export function createRoles(shape: readonly number[] | null, roles: readonly AxisRole[]): AxisRoles {
  if (shape === null || shape.length !== roles.length) return null;
  return joinSegments(
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
  return transposeSegments(ROLES, roles, shape, perm);
}

/** The roles of an operand of shape `operand` that was broadcast to `shape`; null where one element feeds several units. */
export function broadcastRoles(
  roles: AxisRoles,
  shape: readonly number[] | null,
  operand: readonly number[] | null,
): AxisRoles {
  return broadcastSegments(ROLES, roles, shape, operand);
}

/** The roles of a tensor of shape `whole` of which the one described, of shape `part`, is a slice. */
export function sliceRoles(
  roles: AxisRoles,
  part: readonly number[] | null,
  whole: readonly number[] | null,
): AxisRoles {
  return resizeSegments(ROLES, roles, part, whole, (axis, size) => {
    const role = axisRole(axis);
    return role === null ? null : { size, role };
  });
}

/** The roles of a tensor of which the one described, of shape `part`, is one position along a further axis: units of their own. */
export function stackRoles(
  roles: AxisRoles,
  part: readonly number[] | null,
  axis: number,
  size: number,
): AxisRoles {
  const axes = cutSegments(ROLES, roles, part);
  return axes === null ? null : joinSegments(ROLES, axes.toSpliced(axis, 0, [{ size, role: 'unit' }]));
}

export function sameRoles(a: AxisRoles, b: AxisRoles): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.length === b.length && a.every((segment, i) => segment.size === b[i].size && segment.role === b[i].role)
  );
}

/** The rows of a stored tensor with these roles; null where they have no such form. */
export function createRowLayout(roles: AxisRoles): RowLayout | null {
  if (roles === null) return null;
  const sizes = roles.map((segment) => segment.size);
  // Segments alternate. Missing ones have size 1; at the front first, so that [out, in] is units and inner.
  if (roles.at(-1)?.role === 'unit') sizes.push(1);
  if (sizes.length > 4) return null;
  while (sizes.length < 4) sizes.unshift(1);
  const [outer, reduced, units, inner] = sizes;
  return { outer, reduced, units, inner };
}

/** The one role of an axis; an axis of size 1 counts as units. */
function axisRole(segments: readonly RoleSegment[]): AxisRole | null {
  const [first] = segments;
  if (first === undefined) return 'unit';
  return segments.every((segment) => segment.role === first.role) ? first.role : null;
}
