import type { OnnxValue } from '../graph/onnx-model.ts';
import type { KnownIntegers } from '../graph/passes/fold-integers.ts';
import { valuesRead } from '../graph/reads.ts';
import type { GraphAnalysis } from './analysis.ts';
import type { LaneAxis } from './lanes.ts';

/**
 * Of the integers that are always the same, the outputs of nodes that would give others after a removal: they read what has fewer positions, or other numbers on account of that. All
 * other nodes compute what they did, from these too once they are stored, and need not be.
 * @param shrinks whether an axis loses positions
 */
export function alteredIntegers(
  { model: { graph }, integers, axesOf }: GraphAnalysis,
  shrinks: (axis: LaneAxis) => boolean,
): Map<string, KnownIntegers> {
  const altered = new Map<string, KnownIntegers>();
  /** What nodes compute of it that are not stored. */
  const others = new Set<OnnxValue>();
  const isSmaller = (value: OnnxValue) => value.graph === graph && axesOf(value.name).some(shrinks);
  for (const node of graph.nodes) {
    const readsSizes = node.is('Shape') || node.is('Size');
    const isAltered = (value: OnnxValue) => isSmaller(value) || (!readsSizes && others.has(value));
    if (!valuesRead(node).some(isAltered)) continue;
    for (const output of node.outputs) {
      if (output === null) continue;
      const known = integers.get(output.name);
      if (known === undefined) others.add(output);
      else altered.set(output.name, known);
    }
  }
  return altered;
}
