import type { OnnxNode, OnnxValue } from '../../src/graph/onnx-model.ts';
import type { GraphAnalysis } from '../../src/structure/analysis.ts';
import type { LaneAxis } from '../../src/structure/lanes.ts';

/** One attention of a model: how many heads can be removed, or else why none can. */
export interface FoundAttention {
  readonly heads: number;
  /** Null where heads were found. */
  readonly reason: string | null;
}

const FUSED: readonly string[] = ['Attention', 'MultiHeadAttention', 'GroupQueryAttention'];
const PRODUCTS: readonly string[] = ['MatMul', 'Einsum', 'FusedMatMul'];
/** What may stand between weights and the values that they weigh. */
const MAX_STEPS = 6;

/** The attentions of the main graph, in the order of its nodes: operators that are one, and what a Softmax weighs. */
export function findAttentions(analysis: GraphAnalysis): FoundAttention[] {
  return analysis.model.graph.nodes.flatMap((node) => {
    if (FUSED.includes(node.op)) return headsOf(analysis, node.inputs);
    if (node.op !== 'Softmax') return [];
    const product = productOf(node);
    return product ? headsOf(analysis, product.inputs) : [];
  });
}

/** The product of two activations that a value ends in. */
function productOf(node: OnnxNode, steps = MAX_STEPS): OnnxNode | null {
  for (const { node: reader } of node.outputs[0]?.uses ?? []) {
    if (PRODUCTS.includes(reader.op))
      return reader.inputs.every((input) => input && !input.initializer) ? reader : null;
    const found = steps > 0 ? productOf(reader, steps - 1) : null;
    if (found) return found;
  }
  return null;
}

/** What is tagged as heads along any axis of what the attention reads. */
function headsOf(
  { axesOf, lanes, tags }: GraphAnalysis,
  inputs: readonly (OnnxValue | null)[],
): FoundAttention[] {
  const rootsOf = (axis: LaneAxis) => {
    const positions = [...(axis?.[0].keys() ?? [])];
    return positions.flatMap((position) => lanes.rootsAt(axis, position));
  };
  const axes = inputs.map((input) => (input ? axesOf(input.name) : []));
  const isHead = (root: number) => tags.get(root) === 'head';
  const roots = new Set(axes.flat().flatMap(rootsOf).filter(isHead));
  const obstacles = [...roots].map((root) => lanes.obstacleOf(root));
  const heads = obstacles.filter((obstacle) => obstacle === null).length;
  if (heads > 0) return [{ heads, reason: null }];
  const met = obstacles.find((obstacle) => obstacle !== null);
  const reason = met && `${met.operator || 'output'}: ${met.reason}`;
  return [{ heads, reason: reason ?? 'is an axis of an input of the model' }];
}
