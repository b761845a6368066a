import type { RowLayout } from '../../formats/model.ts';
import type { Move, Shape } from './element-moves.ts';
import { cutSegments, joinSegments, moveSegments, type SegmentKind } from './segments.ts';

/** What an axis of a weight does in its layer: tells output units apart, or is summed over within one. */
export type AxisRole = 'unit' | 'sum';

/** A stretch of an axis with one role. */
interface RoleSegment {
  readonly size: number;
  readonly role: AxisRole;
}

/** An axis of size 1 counts as units. */
const ONE: RoleSegment = { size: 1, role: 'unit' };

/** Neighbours of one role are one. */
const ROLES: SegmentKind<RoleSegment> = {
  isPlain: ({ role, size }) => role === 'sum' || size <= 1,
  merge: (outer, { size, role }) => (outer.role === role ? { size: outer.size * size, role } : null),
  split: ({ size, role }, pieces) => [
    { size: pieces, role },
    { size: size / pieces, role },
  ],
  resize: (axis, size) => {
    const { role } = axis[0] ?? ONE;
    return axis.every((segment) => segment.role === role) ? [{ size, role }] : null;
  },
};

/**
 * The roles of a constant's elements, outermost first: the product of the sizes is the number of elements, in row-major
 * order. It knows nothing of axes, so a reshape leaves it as it is. Null where rows are not defined.
 */
export type AxisRoles = readonly RoleSegment[] | null;

export function createRoles(shape: Shape, roles: readonly AxisRole[]): AxisRoles {
  if (shape === null || shape.length !== roles.length) return null;
  return joinSegments(
    ROLES,
    shape.map((size, axis) => [{ size, role: roles[axis] }]),
  );
}

/** From the roles of a result's elements to those of the operand's. */
export function moveRoles(roles: AxisRoles, move: Move): AxisRoles {
  if (move.how === 'stack') return roles && joinSegments(ROLES, [[{ size: move.size, role: 'unit' }], roles]);
  if (move.how !== 'unstack') return moveSegments(ROLES, roles, move);
  const axes = cutSegments(ROLES, roles, move.result);
  // Positions along the further axis are units of their own.
  return axes && joinSegments(ROLES, axes.toSpliced(move.axis, 0, [{ size: move.size, role: 'unit' }]));
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
