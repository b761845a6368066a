import { EmpError } from '../core/errors.ts';
import type { OnnxGraph, OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import { valuesRead } from '../graph/reads.ts';
import type { BlockingNode } from './sweep.ts';

/** More tell nobody more. */
const MAX_FINDINGS = 100;
const MAX_NAMES = 10;

/**
 * The error for a model that cannot be differentiated: every blocking node with its reason, and which weights are left that lie after all of them.
 * @param weights values by the names of the weights whose gradients were asked for
 */
export function refuseBlockingNodes(
  blocking: readonly BlockingNode[],
  graph: OnnxGraph,
  weights: ReadonlyMap<string, string>,
): never {
  const labels = new Set(blocking.map(({ node }) => node));
  const before = valuesBefore(graph.nodes.filter((node) => labels.has(node.label)));
  const after = [...weights].filter(([, value]) => !before.has(graph.resolve(value))).map(([name]) => name);
  const operators = [...new Set(blocking.map(describeOperator))];
  const nodes = blocking.length === 1 ? 'one node' : `${blocking.length} nodes`;
  const advice =
    after.length === 0
      ? 'all selected weights lie before them'
      : `or include only weights after them: ${listed(after)}`;
  throw new EmpError(
    'unsupported_model',
    `gradients cannot be computed through ${nodes} between the weights and the loss (${listed(operators)}); score with magnitude, or try wanda or activation${after.length === 0 ? ': ' : ', '}${advice}`,
    blocking.slice(0, MAX_FINDINGS).map((found) => ({
      path: found.node,
      message: `${describeOperator(found)} ${found.reason}`,
    })),
  );
}

function describeOperator({ operator, domain }: BlockingNode): string {
  return domain === '' ? operator : `${operator} of ${domain}`;
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Everything that the nodes' outputs depend on. */
function valuesBefore(nodes: readonly OnnxNode[]): Set<OnnxValue> {
  const found = new Set<OnnxValue>();
  const before = new Set(nodes);
  for (const node of before) {
    for (const value of valuesRead(node)) {
      found.add(value);
      if (value.producer !== null) before.add(value.producer);
    }
  }
  return found;
}
