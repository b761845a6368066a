import { elementCount } from '../../formats/model.ts';
import type { OnnxNode, OnnxValue } from '../onnx-model.ts';
import type { Frame, Step } from '../program.ts';
import type { Constant } from './constant-shapes.ts';
import type { ValueMap } from './constants.ts';
import type { Routed } from './routed.ts';
import { type Arrangement, type FeatureAxis, QUANTIZED, type SlotLayout } from './slot-layout.ts';

/** Activations of the main graph with features: the axes before the `trailing` last ones, `size` positions of them. */
export interface Activations {
  readonly value: string;
  readonly size: number;
  readonly trailing: number;
  /** Where each of several matrices has features of its own: those of the first come first. */
  readonly matrices?: Matrices;
}

/** What several matrices multiply, or give. */
export interface Matrices {
  /** How many, along each axis. */
  readonly sizes: readonly number[];
  /** Null where the features, and one other axis, are the value's last two. */
  readonly arranged: Arrangement | null;
  /** Values that say which matrices data have chosen, and these themselves; null where each axis before those two goes with an axis of matrices. */
  readonly choice: { readonly indices: string; readonly chosen: string } | null;
}

/** A node that multiplies by a weight. Texts say why activations cannot be captured, with the node as subject. */
export interface WeightSite {
  readonly node: OnnxNode;
  readonly source: Activations | string;
  readonly result: Activations | string;
}

/** Sites, unlisted: every weight of a deep model shares most of them with others. */
export type SiteTree = WeightSite | readonly [SiteTree, SiteTree];

/** Operators whose weights data may choose. */
export const CHOOSING = new Set(['MatMul', 'Einsum']);
/** Operators between what data choose of biases and the Add, at most so many. */
const RESHAPING = new Set(['Identity', 'Cast', 'Unsqueeze', 'Squeeze', 'Reshape']);
const MAX_STEPS = 4;
const CHOSEN_STACKS = 'multiplies by several matrices for each that data choose';

/** Where a node multiplies by what `layout` tells of, which data may have chosen. */
export function createSite(
  { node, frame }: Step,
  layout: SlotLayout,
  constants: ValueMap<Constant>,
  chosen?: Routed & { readonly value: OnnxValue },
): WeightSite {
  if (frame.call !== null || node.graph.parent !== null) {
    const reason =
      'stands in a function or in the body of an If, Loop or Scan, where nothing can be captured';
    return { node, source: reason, result: reason };
  }
  const at = (value: OnnxValue | null | undefined, axis: FeatureAxis): Activations | string => {
    if (!value) return 'leaves it unnamed';
    if (constants.get(frame, value)) return 'multiplies it by a constant, not by data';
    const { size, trailing, matrices, arranged = null } = axis;
    if (chosen && matrices) return CHOSEN_STACKS;
    const sizes = chosen ? [chosen.size] : matrices;
    if (sizes === undefined) return { value: value.name, size, trailing };
    const choice = chosen ? { indices: chosen.indices.name, chosen: chosen.value.name } : null;
    const all = chosen ? chosen.size * size : size;
    return { value: value.name, size: all, trailing, matrices: { sizes, arranged, choice } };
  };
  const { source, result } = layout;
  const output =
    typeof result === 'string'
      ? null
      : withBias(node.outputs[0], (bias) => isBiasOf(bias, result.size, frame, constants, chosen));
  const sourceOf = (axis: Exclude<SlotLayout['source'], string>): Activations | string => {
    const value = node.inputs[axis.operand];
    if (!axis.isQuantized) return at(value, axis);
    const maker = value?.producer;
    return maker?.is('DynamicQuantizeLinear') ? at(maker.inputs[0], axis) : QUANTIZED;
  };
  return {
    node,
    source: typeof source === 'string' ? source : sourceOf(source),
    result: typeof result === 'string' ? result : at(output, result),
  };
}

/** The layer's output: after the Add of its bias, where that is all that reads the product. */
function withBias(product: OnnxValue | null, isBias: (added: OnnxValue) => boolean): OnnxValue | null {
  const [use, ...others] = product?.uses ?? [];
  if (product === null || use === undefined || others.length > 0) return product;
  const { node, input } = use;
  if (!node.is('Add') || node.graph !== product.graph) return product;
  if (product.graph.gives(product)) return product;
  const bias = node.inputs[1 - input];
  return bias && isBias(bias) ? node.outputs[0] : product;
}

/** Whether a value has a number for each unit at most, the same for every sample, or chosen as the matrices are. */
function isBiasOf(
  bias: OnnxValue,
  units: number,
  frame: Frame,
  constants: ValueMap<Constant>,
  chosen: Routed | undefined,
): boolean {
  const shape = constants.get(frame, bias)?.shape;
  if (shape || !chosen) return shape ? elementCount(shape) <= units : false;
  let gather = bias.producer;
  for (let step = 0; step < MAX_STEPS && gather && RESHAPING.has(gather.op); step++)
    gather = gather.inputs[0]?.producer ?? null;
  const [table, indices] = gather?.is('Gather') || gather?.is('GatherND') ? gather.inputs : [];
  const whole = table && constants.get(frame, table)?.shape;
  return indices === chosen.indices && whole ? elementCount(whole) <= units * chosen.size : false;
}
