import { elementCount } from '../../formats/model.ts';
import { MAX_RANK } from '../../formats/onnx/tensor-data.ts';
import { CalledNode } from '../program.ts';
import type { Shape } from './element-moves.ts';
import { type Picks, pickCount } from './picks.ts';

/** Parts, or positions, that are gone through one by one, again and again; no real weight is taken apart in more. */
const MAX_LISTED = 1024;

/** What is known of a value that does not depend on the model's inputs. */
export interface Constant {
  readonly shape: Shape;
  /** Its numbers, where they are a few stored integers. */
  readonly integers: readonly number[] | null;
}

/** A node all of whose inputs are constants. */
export class ConstantNode extends CalledNode {
  readonly inputs: readonly (Constant | null)[];
  readonly outputs: readonly (Constant | null)[];

  constructor(
    { node, frame }: CalledNode,
    inputs: readonly (Constant | null)[],
    outputs: readonly (Constant | null)[],
  ) {
    super(node, frame);
    this.inputs = inputs;
    this.outputs = outputs;
  }
}

export const shapeOf = (at: ConstantNode, input: number): Shape => at.inputs[input]?.shape ?? null;
export const first = (at: ConstantNode): Shape => shapeOf(at, 0);

export function broadcastShape(shapes: readonly Shape[]): Shape {
  const known = shapes.filter((shape) => shape !== null);
  if (known.length < shapes.length) return null;
  const rank = Math.max(...known.map((shape) => shape.length));
  const result: number[] = [];
  for (let back = rank; back > 0; back--) {
    const sizes = known.map((shape) => shape[shape.length - back] ?? 1);
    const size = sizes.find((candidate) => candidate !== 1) ?? 1;
    if (sizes.some((candidate) => candidate !== 1 && candidate !== size)) return null;
    result.push(size);
  }
  return result;
}

export function reshapedShape(at: ConstantNode): Shape {
  const shape = first(at);
  const target = at.integers('shape') ?? at.inputs[1]?.integers ?? null;
  if (shape === null || target === null) return null;
  const keepsZero = at.integer('allowzero', 0) !== 0;
  const sizes = target.map((size, axis) => (size === 0 && !keepsZero ? (shape[axis] ?? 0) : size));
  const known = elementCount(sizes.filter((size) => size !== -1));
  const resolved = sizes.map((size) => (size === -1 ? elementCount(shape) / known : size));
  const isValid = resolved.every((size) => Number.isSafeInteger(size) && size >= 0);
  return isValid && elementCount(resolved) === elementCount(shape) && resolved.length <= MAX_RANK
    ? resolved
    : null;
}

export function flattenedShape(at: ConstantNode): Shape {
  const shape = first(at);
  const axis = axisOf(at, 'axis', 1, 1);
  if (shape === null || axis === null) return null;
  return [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
}

export function squeezedShape(at: ConstantNode): Shape {
  const shape = first(at);
  if (shape === null) return null;
  const axes = axesOf(at, shape.length);
  if (axes === null) return at.inputs[1] ? null : shape.filter((size) => size !== 1);
  const kept = shape.filter((_, axis) => !axes.has(axis));
  return elementCount(kept) === elementCount(shape) ? kept : null;
}

export function unsqueezedShape(at: ConstantNode): Shape {
  const shape = first(at);
  const given = at.integers('axes') ?? at.inputs[1]?.integers ?? null;
  if (shape === null || given === null || shape.length + given.length > MAX_RANK) return null;
  const rank = shape.length + given.length;
  const axes = axesOf(at, rank);
  if (axes?.size !== given.length) return null;
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : (rest.shift() ?? 1)));
}

export function reducedShape(at: ConstantNode): Shape {
  const shape = first(at);
  if (shape === null) return null;
  const axes = axesOf(at, shape.length);
  if (axes === null && at.inputs[1]) return null;
  const isReduced = (axis: number) => axes === null || axes.size === 0 || axes.has(axis);
  if (at.integer('keepdims', 1) === 0) return shape.filter((_, axis) => !isReduced(axis));
  return shape.map((size, axis) => (isReduced(axis) ? 1 : size));
}

export function concatenatedShape(at: ConstantNode): Shape {
  const shapes = at.inputs.map((input) => input?.shape ?? null).filter((shape) => shape !== null);
  const axis = axisOf(at, 'axis', 0);
  if (axis === null || shapes.length < at.inputs.length) return null;
  const [shape] = shapes;
  if (shapes.some((other) => other.length !== shape.length)) return null;
  return shape.with(
    axis,
    shapes.reduce((sum, other) => sum + other[axis], 0),
  );
}

export function splitShape(at: ConstantNode, output: number): Shape {
  const shape = first(at);
  const axis = axisOf(at, 'axis', 0);
  if (shape === null || axis === null) return null;
  // Of one output alone: a node may have very many.
  const sizes = at.attribute('split')?.ints ?? at.inputs[1]?.integers ?? null;
  if (sizes !== null) return output < sizes.length ? shape.with(axis, Number(sizes[output])) : null;
  if (at.inputs[1]) return null;
  const parts = at.node.outputs.length;
  const size = Math.ceil(shape[axis] / parts);
  return shape.with(axis, Math.max(0, Math.min(size, shape[axis] - output * size)));
}

export function slicedShape(at: ConstantNode): Shape {
  const [shape, picks] = [first(at), slicePicks(at)];
  if (shape === null || picks === null) return null;
  return picks.map((taken, axis) => (taken === null ? shape[axis] : pickCount(taken)));
}

/** Of every axis the positions that a Slice takes, null for all; null as a whole where they cannot be told. */
export function slicePicks(at: ConstantNode): (Picks | null)[] | null {
  const shape = first(at);
  const list = (name: string, input: number) => at.integers(name) ?? at.inputs[input]?.integers ?? null;
  const [starts, ends, axes, steps] = [list('starts', 1), list('ends', 2), list('axes', 3), list('steps', 4)];
  if (shape === null || starts === null || ends?.length !== starts.length) return null;
  if ((at.inputs[3] && axes === null) || (at.inputs[4] && steps === null)) return null;
  const picks: (Picks | null)[] = shape.map(() => null);
  for (const [index, start] of starts.entries()) {
    const axis = normalizeAxis(axes?.[index] ?? index, shape.length);
    const step = steps?.[index] ?? 1;
    if (axis === null || step === 0) return null;
    const size = shape[axis];
    const clamp = (position: number) =>
      Math.min(
        Math.max(position < 0 ? position + size : position, step < 0 ? -1 : 0),
        step < 0 ? size - 1 : size,
      );
    const from = clamp(start);
    const count = Math.max(0, Math.ceil((clamp(ends[index]) - from) / step));
    const isAll = from === 0 && step === 1 && count === size;
    picks[axis] = isAll ? null : { first: from, step, count };
  }
  return picks;
}

/** Likewise those of one of a Split's outputs. */
export function splitPicks(at: ConstantNode, output: number): (Picks | null)[] | null {
  const [shape, part] = [first(at), at.outputs[output]?.shape ?? null];
  const axis = axisOf(at, 'axis', 0);
  if (shape === null || part === null || axis === null) return null;
  const sizes = at.attribute('split')?.ints ?? at.inputs[1]?.integers ?? null;
  if (sizes !== null && sizes.length > MAX_LISTED) return null;
  const from =
    sizes === null
      ? output * Math.ceil(shape[axis] / at.node.outputs.length)
      : sizes.slice(0, output).reduce<number>((sum, size) => sum + Number(size), 0);
  return shape.map((_, each) => (each === axis ? { first: from, step: 1, count: part[axis] } : null));
}

/** The positions that a Gather takes along its axis, where they are a few stored integers. */
export function gatherPositions(at: ConstantNode): readonly number[] | null {
  const axis = axisOf(at, 'axis', 0);
  const size = axis === null ? undefined : first(at)?.[axis];
  const indices = at.inputs[1]?.integers ?? null;
  if (size === undefined || indices === null || indices.length > MAX_LISTED) return null;
  const positions = indices.map((index) => (index < 0 ? index + size : index));
  return positions.every((position) => position >= 0 && position < size) ? positions : null;
}

export function gatheredShape(at: ConstantNode): Shape {
  const [shape, indices] = [first(at), shapeOf(at, 1)];
  const axis = axisOf(at, 'axis', 0);
  if (shape === null || indices === null || axis === null) return null;
  const result = shape.toSpliced(axis, 1, ...indices);
  return result.length <= MAX_RANK ? result : null;
}

export function productShape(at: ConstantNode): Shape {
  const [a, b] = [shapeOf(at, 0), shapeOf(at, 1)];
  if (a === null || b === null || a.length < 2 || b.length < 2) return null;
  const batch = broadcastShape([a.slice(0, -2), b.slice(0, -2)]);
  return batch === null ? null : [...batch, a[a.length - 2], b[b.length - 1]];
}

/** The permutation of a Transpose; null where it is none or the rank is unknown. */
export function permutation(at: ConstantNode): readonly number[] | null {
  const rank = first(at)?.length;
  if (rank === undefined) return null;
  const perm = at.integers('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const isWhole = perm.length === rank && new Set(perm).size === rank;
  return isWhole && perm.every((axis) => axis >= 0 && axis < rank) ? perm : null;
}

/** The attribute's axis counted from the front; `extra` more than the rank is allowed. */
export function axisOf(at: ConstantNode, attribute: string, fallback: number, extra = 0): number | null {
  const rank = first(at)?.length;
  if (rank === undefined) return null;
  const axis = at.integer(attribute, fallback);
  return axis === rank && extra > 0 ? axis : normalizeAxis(axis, rank);
}

/** Axes given as attribute or second input. */
function axesOf(at: ConstantNode, rank: number): ReadonlySet<number> | null {
  const axes = at.integers('axes') ?? at.inputs[1]?.integers ?? null;
  if (axes === null) return null;
  const normalized = axes.map((axis) => normalizeAxis(axis, rank)).filter((axis) => axis !== null);
  return normalized.length === axes.length ? new Set(normalized) : null;
}

function normalizeAxis(axis: number, rank: number): number | null {
  const normalized = axis < 0 ? axis + rank : axis;
  return Number.isInteger(normalized) && normalized >= 0 && normalized < rank ? normalized : null;
}
