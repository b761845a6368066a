import { isDeepStrictEqual } from 'node:util';
import type { OnnxNode, OnnxValue } from '../onnx-model.ts';
import { CalledNode, type Frame } from '../program.ts';
import type { Constant } from './constant-shapes.ts';
import type { ValueMap } from './constants.ts';
import type { Move } from './element-moves.ts';

/** Matrices that data choose of a constant: what a Gather or GatherND along its first axis gives, whose last axes are a matrix's own, whatever stands before them. */
export interface Routed {
  /** Of one matrix. */
  readonly shape: readonly number[];
  /** How many there are to choose from. */
  readonly size: number;
  /** Which are chosen. */
  readonly indices: OnnxValue;
  /** From one matrix here to one in what the value is made of; null at the Gather. */
  readonly move: Exclude<Move, { readonly how: 'stack' }> | null;
}

/** What of a node's first input is routed in its first output; null for nothing, and where it is not told from the graph. */
export function routedOutput(
  node: OnnxNode,
  frame: Frame,
  constants: ValueMap<Constant>,
  routed: ValueMap<Routed>,
): Routed | null {
  const [source] = node.inputs;
  if (node.domain !== '' || !source) return null;
  const at = new CalledNode(node, frame);
  if (node.op === 'Gather' || node.op === 'GatherND') {
    const [, indices] = node.inputs;
    const shape = constants.get(frame, source)?.shape;
    if (!indices || constants.get(frame, indices) || !shape || shape.length < 3) return null;
    const isFirst =
      node.op === 'Gather'
        ? [0, -shape.length].includes(at.integer('axis', 0))
        : at.integer('batch_dims', 0) === 0 && isOneEach(indices, frame, constants);
    return isFirst ? { shape: shape.slice(1), size: shape[0], indices, move: null } : null;
  }
  const before = routed.get(frame, source);
  if (before === undefined) return null;
  const { shape } = before;
  const own = shape.length;
  const numbers = (attribute: string) => constantNumbers(at, attribute, constants);
  switch (node.op) {
    case 'Identity':
    case 'Cast':
      return { ...before, move: { how: 'same' } };
    case 'Transpose': {
      const perm = at.integers('perm') ?? [];
      const leading = perm.length - own;
      const isKept = perm.every((axis, place) => (place < leading ? axis === place : axis >= leading));
      if (leading < 0 || !isKept) return null;
      const ownPerm = perm.slice(leading).map((axis) => axis - leading);
      const result = ownPerm.map((axis) => shape[axis]);
      return { ...before, shape: result, move: { how: 'transpose', result, perm: ownPerm } };
    }
    case 'Reshape': {
      const target = numbers('shape') ?? [];
      const isKept = target.length >= own && isDeepStrictEqual(target.slice(target.length - own), [...shape]);
      return isKept ? { ...before, move: { how: 'same' } } : null;
    }
    // Of axes that are counted from the front it is not always known whether a matrix's own come later.
    case 'Unsqueeze': {
      const axes = numbers('axes');
      const isBefore = axes?.every((axis, place) => axis < -own || axis === place);
      return isBefore ? { ...before, move: { how: 'same' } } : null;
    }
    case 'Squeeze': {
      const isBefore = !shape.includes(1) || numbers('axes')?.every((axis) => axis < -own);
      return isBefore ? { ...before, move: { how: 'same' } } : null;
    }
    default:
      return null;
  }
}

/** Whether the graph tells that the last axis of a value has one position: an index of a GatherND is then a number. */
function isOneEach({ producer }: OnnxValue, frame: Frame, constants: ValueMap<Constant>): boolean {
  if (producer === null || producer.domain !== '') return false;
  const numbers = (attribute: string) =>
    constantNumbers(new CalledNode(producer, frame), attribute, constants);
  if (producer.op === 'Unsqueeze') return numbers('axes')?.includes(-1) ?? false;
  return producer.op === 'Reshape' && numbers('shape')?.at(-1) === 1;
}

/** Of an attribute, or of the second input that later versions take in its place. */
function constantNumbers(
  at: CalledNode,
  attribute: string,
  constants: ValueMap<Constant>,
): readonly number[] | null {
  const { node, frame } = at;
  const [, second] = node.inputs;
  return at.integers(attribute) ?? (second && constants.get(frame, second)?.integers) ?? null;
}
