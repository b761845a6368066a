import { create } from '@bufbuild/protobuf';
import { clip, MAX_TOLD_NAME } from '../core/clip.ts';
import { EmpError } from '../core/errors.ts';
import type { KeptPositions } from '../formats/gather.ts';
import type { ModelInventory } from '../formats/model.ts';
import { ModelProtoSchema, type TensorProto } from '../formats/onnx/onnx-schema.ts';
import { FreeNames } from '../graph/free-names.ts';
import { isFunction, type OnnxGraph, OnnxModel, type OnnxNode } from '../graph/onnx-model.ts';
import { initializersToConstants } from '../graph/passes/initializers-to-constants.ts';
import { freePrefix, innerGraphs, mainGraph, storedTensors } from '../graph/proto-walk.ts';
import type { StoredTensor } from '../graph/weights/constants.ts';
import { analyseGraph, type GraphAnalysis } from './analysis.ts';
import { type Family, type FrozenAxis, findStructures, type Structures } from './families.ts';
import type { GraphTrace } from './graph-trace.ts';
import { removeStructures } from './removal.ts';

/** Characters, of a list of all axes of all families. A language model's takes a few hundred thousand. */
const MAX_LISTED = 2 ** 24;
/** Of what a list says of an axis beside its tensor's name. */
const SITE_LENGTH = 50;

/** A graph of a model, analysed by itself: what it reads of the graphs around it cannot shrink there, and what it gives them neither. */
export interface AnalysedGraph {
  readonly analysis: GraphAnalysis;
  /** Added to its roots, which are counted from 0 in every analysis, to tell them from those of other graphs. */
  readonly firstRoot: number;
}

/** A graph that is not looked into, and the node that it stands in. */
interface ClosedGraph {
  readonly node: OnnxNode;
  readonly graph: OnnxGraph;
}

/** All graphs of a model. */
export interface AnalysedGraphs {
  /** The main graph first, each before those inside it. */
  readonly graphs: readonly AnalysedGraph[];
  readonly closed: readonly ClosedGraph[];
}

/** Analyses the main graph and every branch that was run. The same model falls into the same roots. */
export function analyseGraphs(model: OnnxModel, trace: GraphTrace): AnalysedGraphs {
  const graphs: AnalysedGraph[] = [];
  const closed: ClosedGraph[] = [];
  let firstRoot = 0;
  const visit = (own: OnnxModel, { shapes, inner }: GraphTrace) => {
    const analysis = analyseGraph(own, shapes, own === model ? 'model' : 'branch');
    graphs.push({ analysis, firstRoot });
    firstRoot += analysis.lanes.count;
    const insides = own.graph.nodes.flatMap((node) => node.subgraphs.map(({ graph }) => ({ node, graph })));
    for (const [index, { node, graph }] of insides.entries()) {
      const found = inner[index];
      if (found === null || isFunction(graph.proto)) closed.push({ node, graph });
      else visit(new OnnxModel(create(ModelProtoSchema, { ...model.proto, graph: graph.proto })), found);
    }
  };
  visit(model, trace);
  return { graphs, closed };
}

/**
 * Sorts the roots of all graphs into families, and says what is frozen.
 * @param names of the inventory, by the stored tensors of the analysed model
 */
export function findAllStructures(
  { graphs, closed }: AnalysedGraphs,
  inventory: ModelInventory,
  names: ReadonlyMap<StoredTensor, string>,
): Structures {
  const found = graphs.map(({ analysis, firstRoot }) => {
    const { families, frozen, lasting } = findStructures(analysis, inventory, names);
    return {
      families: families.map((family) => shiftRoots(family, firstRoot)),
      frozen,
      lasting: lasting.map((axis) => axis.map((roots) => roots.map((root) => root + firstRoot))),
    };
  });
  const families = found.flatMap((each) => each.families);
  refuseEndless(families);
  return {
    families: nameApart(families),
    frozen: [...found.flatMap(({ frozen }) => frozen), ...findClosed(closed, inventory, names)],
    lasting: found.flatMap(({ lasting }) => lasting),
  };
}

/** Throws `unsupported_model` for families that would take more room to be told than any model's do: each tells the names of all tensors that it lies in. */
function refuseEndless(families: readonly Family[]): void {
  let listed = 0;
  for (const { structures } of families) {
    for (const { tensor } of structures[0].sites) listed += tensor.length + SITE_LENGTH;
  }
  if (listed <= MAX_LISTED) return;
  throw new EmpError(
    'unsupported_model',
    `the model's structures lie in so many tensors that to list them takes more than ${MAX_LISTED / 2 ** 20} MiB`,
  );
}

function shiftRoots(family: Family, firstRoot: number): Family {
  const shift = (structure: Family['structures'][number]) => ({
    ...structure,
    root: structure.root + firstRoot,
  });
  return { ...family, structures: family.structures.map(shift) };
}

/** Calls of one function in several graphs share its tensors, and the names of those. */
function nameApart(families: readonly Family[]): Family[] {
  const taken = new FreeNames();
  return families.map((family) => ({
    ...family,
    name: taken.take(family.name) ?? taken.number(`${family.name}#`),
  }));
}

function findClosed(
  closed: readonly ClosedGraph[],
  inventory: ModelInventory,
  names: ReadonlyMap<StoredTensor, string>,
): FrozenAxis[] {
  const weights = new Map(
    inventory.tensors.filter(({ role }) => role === 'weight').map((tensor) => [tensor.name, tensor]),
  );
  return closed.flatMap(({ node, graph: { proto } }) => {
    const reason = node.is('If')
      ? 'is in a branch whose sizes could not be found'
      : `is in the body of a ${node.op}`;
    const graphs = isFunction(proto) ? [] : [proto, ...innerGraphs(proto.node)];
    return graphs.flatMap(storedTensors).flatMap((stored) => {
      const { name: tensor, shape } = weights.get(names.get(stored) ?? '') ?? { name: '', shape: [] };
      const axes = [...shape.keys()].filter((axis) => shape[axis] > 1);
      return axes.map((axis) => ({
        tensor,
        axis,
        node: node.label,
        operator: clip(node.op, MAX_TOLD_NAME),
        reason,
      }));
    });
  });
}

/**
 * Removes structures from the graphs that were analysed: changes the model's proto, and returns what stays of every stored tensor that shrinks.
 * @param removed roots of structures, as in `findAllStructures`
 */
export function removeFromGraphs(
  { graphs }: AnalysedGraphs,
  removed: ReadonlySet<number>,
): Map<TensorProto, KeptPositions> {
  const prefix = freePrefix(mainGraph(graphs[0].analysis.model.proto), 'pruned_');
  const kept = new Map<TensorProto, KeptPositions>();
  // Inner graphs first: what these no longer read is dead code in those around them.
  for (const [index, graph] of [...graphs.entries()].toReversed()) {
    const own = rootsWithin(graph, removed);
    if (own.size === 0 && index > 0) continue;
    const names = index === 0 ? prefix : `${prefix}${index}_`;
    for (const [tensor, positions] of removeStructures(graph.analysis, own, names))
      kept.set(tensor, positions);
    if (index > 0) initializersToConstants(graph.analysis.model.proto);
  }
  return kept;
}

/** Those roots of all graphs that are one graph's, as its analysis counts them. */
export function rootsWithin(
  { analysis: { lanes }, firstRoot }: AnalysedGraph,
  roots: ReadonlySet<number>,
): Set<number> {
  const own = [...roots].map((root) => root - firstRoot);
  return new Set(own.filter((root) => root >= 0 && root < lanes.count));
}
