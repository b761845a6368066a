import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from '../formats/onnx/onnx-schema.ts';

/** The graph of a model that has one, as every model that was read has. */
export function mainGraph({ graph }: Pick<ModelProto, 'graph'>): GraphProto {
  if (graph === undefined) throw new TypeError('a model without a graph');
  return graph;
}

/** The main graph and those inside its nodes. */
export function allGraphs(model: Pick<ModelProto, 'graph'>): GraphProto[] {
  const graph = mainGraph(model);
  return [graph, ...innerGraphs(graph.node)];
}

/** The graphs inside nodes, and inside the nodes of those. */
export function* innerGraphs(nodes: readonly NodeProto[]): Generator<GraphProto> {
  for (const { attribute } of nodes) {
    for (const { g, graphs } of attribute) {
      for (const graph of g === undefined ? graphs : [g, ...graphs]) {
        yield graph;
        yield* innerGraphs(graph.node);
      }
    }
  }
}

export function isStandard({ domain }: { readonly domain: string }): boolean {
  return domain === '' || domain === 'ai.onnx';
}

export function isConstant(node: NodeProto): boolean {
  return node.opType === 'Constant' && isStandard(node);
}

/** Initializers of a graph, and tensors of its Constant nodes. */
export function storedTensors({ initializer, node }: GraphProto): TensorProto[] {
  const constants = node.filter(isConstant);
  return [...initializer, ...constants.flatMap(({ attribute }) => attribute.flatMap(({ t }) => t ?? []))];
}

/** A tensor that a model holds, and where. */
export interface HeldTensor {
  readonly tensor: TensorProto;
  /**
   * The main graph or the `inner` ones, in its nodes, for what they store: initializers and Constants. `other` are tensors of functions, the two of a sparse tensor, and
   * those in attributes of other nodes.
   */
  readonly within: 'main' | 'inner' | 'other';
}

/** All tensors of a model, those of inner graphs before the main graph's. */
export function* heldTensors({ graph, functions }: ModelProto): Generator<HeldTensor> {
  for (const inner of innerGraphs(graph?.node ?? [])) yield* tensorsOfGraph(inner, 'inner');
  if (graph) yield* tensorsOfGraph(graph, 'main');
  for (const { node, attributeProto } of functions) {
    for (const inner of innerGraphs(node)) yield* tensorsOfGraph(inner, 'other');
    yield* tensorsOfAttributes([...node.flatMap(({ attribute }) => attribute), ...attributeProto], 'other');
  }
}

function* tensorsOfGraph(graph: GraphProto, within: HeldTensor['within']): Generator<HeldTensor> {
  for (const tensor of graph.initializer) yield { tensor, within };
  yield* partsOf(graph.sparseInitializer);
  for (const node of graph.node) {
    yield* tensorsOfAttributes(node.attribute, isConstant(node) ? within : 'other');
  }
}

function* tensorsOfAttributes(
  attributes: readonly AttributeProto[],
  within: HeldTensor['within'],
): Generator<HeldTensor> {
  for (const { t, tensors, sparseTensor, sparseTensors } of attributes) {
    for (const tensor of t ? [t, ...tensors] : tensors) yield { tensor, within };
    yield* partsOf(sparseTensor ? [sparseTensor, ...sparseTensors] : sparseTensors);
  }
}

function* partsOf(sparse: readonly SparseTensorProto[]): Generator<HeldTensor> {
  for (const { values, indices } of sparse) {
    for (const tensor of [values, indices]) if (tensor) yield { tensor, within: 'other' };
  }
}

/** Names that are made begin with it, and there may be many. */
const MAX_UNDERSCORES = 16;

/** A beginning that no name of a graph has, of values and of nodes: `stem`, lengthened where it must be. */
export function freePrefix(graph: GraphProto, stem: string): string {
  const graphs = [graph, ...innerGraphs(graph.node)];
  const names = graphs.flatMap(({ input, initializer, sparseInitializer, node }) => [
    ...[...input, ...initializer].map(({ name }) => name),
    ...sparseInitializer.map(({ values }) => values?.name ?? ''),
    ...node.flatMap(({ name, output }) => [name, ...output]),
  ]);
  const rests = names.filter((name) => name.startsWith(stem)).map((name) => name.slice(stem.length));
  if (rests.length === 0) return stem;
  const underscores = 1 + rests.reduce((most, rest) => Math.max(most, underscoresBefore(rest)), 0);
  if (underscores <= MAX_UNDERSCORES) return stem + '_'.repeat(underscores);
  const taken = new Set(rests.map((rest) => /^#(\d{1,9})_/.exec(rest)?.[1]));
  let number = 0;
  while (taken.has(`${number}`)) number++;
  return `${stem}#${number}_`;
}

function underscoresBefore(text: string): number {
  let count = 0;
  while (text[count] === '_') count++;
  return count;
}
