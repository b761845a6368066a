import { isWeightDtype } from '../core/dtype.ts';
import type { TensorProto } from '../formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../formats/onnx/tensor-data.ts';
import type { ShapeTrace } from '../graph/observed-values.ts';
import type { OnnxGraph, OnnxModel, OnnxValue } from '../graph/onnx-model.ts';
import type { KnownIntegers } from '../graph/passes/fold-integers.ts';
import { isReadQuantized } from '../graph/quantized-slots.ts';
import { capturedValues } from '../graph/reads.ts';
import { freezeDisagreements } from './agreement.ts';
import { isRepeated, type LaneAxis, Lanes } from './lanes.ts';
import { STRUCTURE_RULES } from './rules/registry.ts';
import {
  AnalysedNode,
  type Contraction,
  type LaneTag,
  type NodeFindings,
  Untraceable,
} from './structure-rule.ts';
import { createFacts, knownIntegers } from './traced-facts.ts';

/** What of a graph hangs together. */
export interface GraphAnalysis extends Omit<NodeFindings, 'tag'> {
  readonly model: OnnxModel;
  /** Stored tensors of the main graph that have axes to shrink, by the value they are. */
  readonly stored: ReadonlyMap<string, TensorProto>;
  /** What roots are used as. */
  readonly tags: ReadonlyMap<number, LaneTag>;
  /** Outputs of nodes that compute only integers (int64) which are the same whatever the model is fed. */
  readonly integers: ReadonlyMap<string, KnownIntegers>;
}

/**
 * Finds out which positions of which axes of the main graph can only be removed together, and which not at all: under the sizes of the first run, and of that what holds
 * under those of the second as well.
 * @param whose what the graph's outputs are said to be of
 */
export function analyseGraph(
  model: OnnxModel,
  trace: ShapeTrace,
  whose: 'model' | 'branch' = 'model',
): GraphAnalysis {
  const analysis = analyseRun(model, trace, whose);
  // Asking for the axes of a tensor gives it some, which one that no node reads must not have.
  const used = model.graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);
  const values = [...new Set(used.flatMap((value) => value?.name ?? []))];
  const isOpen = values.some((name) => {
    const [first, second] = trace.shapesOf(name) ?? [];
    return first?.join() !== second?.join();
  });
  if (isOpen) freezeDisagreements(analysis, analyseRun(model, otherRun(trace), whose), values);
  return analysis;
}

/** The second run in the place of the first. */
function otherRun(trace: ShapeTrace): ShapeTrace {
  return {
    shapesOf(name) {
      const shapes = trace.shapesOf(name);
      return shapes && [shapes[1], shapes[0]];
    },
    dtypeOf: (name) => trace.dtypeOf(name),
    integersOf: (name) => trace.integersOf(name),
  };
}

/** Goes through the main graph once. */
function analyseRun(model: OnnxModel, trace: ShapeTrace, whose: 'model' | 'branch'): GraphAnalysis {
  const { graph } = model;
  const lanes = new Lanes();
  const tensors = storedTensors(graph);
  const stored = new Map<string, TensorProto>();
  const axesByName = new Map<string, readonly LaneAxis[]>();
  const axesOf = (name: string): readonly LaneAxis[] => {
    const known = axesByName.get(name);
    if (known) return known;
    const tensor = tensors.get(name);
    const axes = tensor
      ? createAxes(lanes, tensor, graph.resolve(name))
      : (trace.shapesOf(name)?.[0] ?? []).map(() => null);
    if (tensor && axes.some((axis) => axis !== null)) stored.set(name, tensor);
    axesByName.set(name, axes);
    return axes;
  };
  const contractions: Contraction[] = [];
  const found = { lanes, axesOf, contractions, changes: [] };
  const tagged: [LaneAxis, LaneTag][] = [];
  const integers = knownIntegers(graph, trace);
  const facts = createFacts(model, trace, tensors, integers);
  const findings: NodeFindings = { ...found, tag: (axis, tag) => void tagged.push([axis, tag]) };
  for (const node of graph.nodes) {
    if (tensors.has(node.outputs[0]?.name ?? '')) continue;
    const at = new AnalysedNode(node, facts, findings);
    const before = contractions.length;
    const outputs = facts.isFolded(node) ? node.outputs.map((_, i) => at.plain(i)) : applyRule(at);
    if (!facts.isFolded(node)) freezeLost(at, outputs, contractions.slice(before));
    for (const [i, value] of node.outputs.entries()) if (value) axesByName.set(value.name, outputs[i] ?? []);
  }
  for (const { name } of graph.outputs) {
    for (const axis of axesOf(name)) {
      lanes.freezeAxis(axis, { node: name, operator: '', reason: `is an axis of an output of the ${whose}` });
    }
  }
  return { ...found, model, stored, tags: resolveTags(lanes, tagged), integers };
}

/** Initializers and tensors of Constant nodes, by the value they are. */
function storedTensors(graph: OnnxGraph): Map<string, TensorProto> {
  const tensors = new Map<string, TensorProto>();
  for (const { name, initializer } of graph.initializers) {
    if (initializer?.$typeName === 'onnx.TensorProto') tensors.set(name, initializer);
  }
  for (const node of graph.nodes) {
    const tensor = node.is('Constant') ? node.attribute('value')?.t : undefined;
    if (tensor && node.outputs[0]) tensors.set(node.outputs[0].name, tensor);
  }
  return tensors;
}

/** Integers can shrink where they are read as quantized numbers: others say where something is, or how much of it there is. */
function createAxes(lanes: Lanes, tensor: TensorProto, value: OnnxValue): LaneAxis[] {
  const canShrink = isWeightDtype(dtypeOf(tensor)) || isReadQuantized(value);
  return parseShape(tensor.dims, tensor.name).map((size) => (canShrink ? lanes.createAxis(size) : null));
}

/** What the node's rule says; nothing that a node without one reads can shrink. */
function applyRule(at: AnalysedNode): readonly (readonly LaneAxis[])[] {
  const { node } = at;
  if (node.subgraphs.length > 0) freezeCaptured(at);
  const rule = node.subgraphs.length === 0 ? STRUCTURE_RULES.get(node.qualifiedOp) : undefined;
  if (rule === undefined)
    return at.frozen(`is read by ${node.qualifiedOp}, which has no rule for structures`);
  try {
    const outputs = rule(at);
    const isSound = outputs.every((axes, i) => {
      if (!node.outputs[i]) return true;
      const sizes = at.outputSizes(i);
      return (
        axes.length === sizes.length && axes.every((axis, k) => axis === null || axis[0].length === sizes[k])
      );
    });
    return isSound ? outputs : at.frozen('comes out in another shape than its rule says');
  } catch (error) {
    if (!(error instanceof Untraceable)) throw error;
    return at.frozen('has shapes that could not be found');
  }
}

/** What graphs inside a node read of those around it. */
function freezeCaptured(at: AnalysedNode): void {
  for (const { graph } of at.node.subgraphs) {
    for (const value of capturedValues(graph)) {
      if (value.graph === at.node.graph) at.fixed(at.axesOf(value.name), 'is read inside a branch or loop');
    }
  }
}

/** An axis that has lanes and is in no output, nor summed over, is one that the rule has lost sight of. */
function freezeLost(
  at: AnalysedNode,
  outputs: readonly (readonly LaneAxis[])[],
  contractions: readonly Contraction[],
): void {
  const passed = [...outputs.flat(), ...contractions.map(({ input, axis }) => at.axes(input)[axis])];
  const isPassed = new Set(passed);
  const lost = at.givenInputs
    .flatMap((input) => [...at.axes(input)])
    .filter((axis) => axis !== null && !isPassed.has(axis) && !at.leftOut.has(axis));
  if (lost.length === 0) return;
  const roots = new Set(passed.flatMap((axis) => rootsOf(at.lanes, axis)));
  for (const root of lost.flatMap((axis) => rootsOf(at.lanes, axis))) {
    if (!roots.has(root)) at.lanes.freeze(root, at.obstacle('is not passed on'));
  }
}

function rootsOf(lanes: Lanes, axis: LaneAxis): number[] {
  if (axis === null) return [];
  const positions = Array.from(axis[0].keys()).filter((position) => !isRepeated(axis, position));
  return positions.flatMap((position) => lanes.rootsAt(axis, position));
}

/** A root that is used as several things is a head before it is a head's width. */
function resolveTags(lanes: Lanes, tagged: readonly (readonly [LaneAxis, LaneTag])[]): Map<number, LaneTag> {
  const tags = new Map<number, LaneTag>();
  for (const [axis, tag] of tagged) {
    for (const root of rootsOf(lanes, axis)) if (tags.get(root) !== 'head') tags.set(root, tag);
  }
  return tags;
}
