import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { OnnxGraph, OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import type { ValueFacts } from '../graph/value-facts.ts';
import { GradientNode, type GradientRule, type GradientRules, Undifferentiable } from './derivative.ts';
import { carriesNoGradient, RULES, takesGradient } from './rules/registry.ts';

/** A node on the way from the weights to the loss that has no rule, or none for the way it is used. */
export interface BlockingNode {
  readonly operator: string;
  /** Empty for the standard operators. */
  readonly domain: string;
  /** The node's name, or its first output where it has none. */
  readonly node: string;
  readonly reason: string;
}

/**
 * The gradients of a scalar with respect to `targets`, as values that nodes appended to `graph`'s proto compute: reverse-mode differentiation,
 * from `seeds` (the scalar's gradients with respect to some values, by name) back through one rule per operator.
 * @returns the gradients' names by target, null for a target that the scalar does not depend on; or all blocking nodes at once
 */
export function differentiate(
  graph: OnnxGraph,
  builder: GraphBuilder,
  facts: ValueFacts,
  seeds: ReadonlyMap<string, string>,
  targets: readonly string[],
  rules: GradientRules = RULES,
):
  | { readonly gradients: ReadonlyMap<string, string | null> }
  | { readonly blocking: readonly BlockingNode[] } {
  const path = findPath(graph, [...seeds.keys()], targets);
  const contributions = new Map<OnnxValue, string[]>();
  for (const [name, seed] of seeds) contributions.set(graph.resolve(name), [seed]);
  const total = (value: OnnxValue | null): string | null => {
    const parts = (value && contributions.get(value)) ?? [];
    if (value === null || parts.length === 0) return null;
    if (parts.length > 1) contributions.set(value, [builder.op(parts.length === 2 ? 'Add' : 'Sum', parts)]);
    return contributions.get(value)?.[0] ?? null;
  };
  const blocking: BlockingNode[] = [];
  for (const { node, needs } of path) {
    const rule = ruleOf(node, rules, blocking);
    if (rule === null) continue;
    // Past a blocking node only further ones are looked for: any value of the right shape stands for a gradient.
    const standIn = (value: OnnxValue | null) => (blocking.length > 0 ? (value?.name ?? null) : null);
    const gradients = node.outputs.map((output) => total(output) ?? standIn(output));
    if (gradients.every((gradient) => gradient === null)) continue;
    try {
      const found = rule(new GradientNode(node, builder, facts, gradients, needs));
      for (const [input, gradient] of found.entries()) {
        const value = node.inputs[input];
        if (!gradient || !value || !needs[input]) continue;
        const parts = contributions.get(value) ?? [];
        parts.push(gradient);
        contributions.set(value, parts);
      }
    } catch (error) {
      if (!(error instanceof Undifferentiable)) throw error;
      blocking.push(blockingNode(node, error.message));
    }
  }
  if (blocking.length > 0) return { blocking };
  return { gradients: new Map(targets.map((name) => [name, total(graph.find(name))])) };
}

/** The nodes between `targets` and `outputs` that have no rule, which is known from the graph alone; rules may refuse more. */
export function findBlockingNodes(
  graph: OnnxGraph,
  outputs: readonly string[],
  targets: readonly string[],
): BlockingNode[] {
  const blocking: BlockingNode[] = [];
  for (const { node } of findPath(graph, outputs, targets)) ruleOf(node, RULES, blocking);
  return blocking;
}

interface PathStep {
  readonly node: OnnxNode;
  /** Per input. */
  readonly needs: readonly boolean[];
}

/** The nodes between the targets and the seeds, last first. */
function findPath(graph: OnnxGraph, seeds: readonly string[], targets: readonly string[]): PathStep[] {
  const dependent = new Set(targets.map((name) => graph.resolve(name)));
  for (const node of graph.nodes) {
    if (carriesNoGradient(node) || !readsAny(node, dependent)) continue;
    for (const output of node.outputs) if (output) dependent.add(output);
  }
  const required = new Set(seeds.map((name) => graph.resolve(name)));
  const path: PathStep[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => output && required.has(output) && dependent.has(output))) continue;
    const needs = node.inputs.map(
      (input, slot) => input !== null && dependent.has(input) && takesGradient(node, slot),
    );
    for (const [slot, input] of node.inputs.entries()) if (input && needs[slot]) required.add(input);
    path.push({ node, needs });
  }
  return path;
}

/** Whether a node, or a graph inside it, reads one of the values. */
function readsAny(node: OnnxNode, values: ReadonlySet<OnnxValue>): boolean {
  if (node.inputs.some((input, slot) => input && values.has(input) && takesGradient(node, slot))) return true;
  return node.subgraphs.some(
    ({ graph }) =>
      graph.nodes.some((inner) => readsAny(inner, values)) ||
      graph.outputs.some((output) => values.has(output)),
  );
}

function ruleOf(node: OnnxNode, rules: GradientRules, blocking: BlockingNode[]): GradientRule | null {
  const isStandard = node.domain === '' && node.subgraphs.length === 0;
  const rule = isStandard ? (rules.get(node.op) ?? null) : null;
  if (rule === null) {
    blocking.push(
      blockingNode(node, node.subgraphs.length > 0 ? 'holds a graph of its own' : 'has no gradient rule'),
    );
  }
  return rule;
}

function blockingNode(node: OnnxNode, reason: string): BlockingNode {
  return { operator: node.op, domain: node.domain, node: node.label, reason };
}
