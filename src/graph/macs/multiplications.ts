import type { OnnxGraph, OnnxModel, OnnxNode, OnnxValue } from '../onnx-model.ts';
import type { StoredTensor } from '../weights/constants.ts';
import { MICROSOFT_ATTENTION, STANDARD_ATTENTION } from './attention-products.ts';
import { MICROSOFT_LAYERS, STANDARD_LAYERS } from './layer-products.ts';
import { type CountProducts, Operands, type ShapesOf, UnknownShape } from './operands.ts';

const STANDARD: ReadonlyMap<string, CountProducts> = new Map([...STANDARD_LAYERS, ...STANDARD_ATTENTION]);
const MICROSOFT: ReadonlyMap<string, CountProducts> = new Map([...MICROSOFT_LAYERS, ...MICROSOFT_ATTENTION]);

/** Operators of other names that multiply matrices, by what their names have in common. */
const MULTIPLYING = /MatMul|Gemm|Attention|Conv(?!ert)|MoE|LSTM|GRU|RNN/;
const UNKNOWN = 'is an operator whose products are not known';
const INSIDE = 'runs layers in its body, how often and on what sizes is not known';

/** Operators that give some of their first input, where data say. */
const LOOKUPS: ReadonlySet<string> = new Set(['Gather', 'GatherND', 'GatherElements']);
const MATRICES = 3;
/** What goes on as a chosen matrix, in another form. */
const RESHAPING: ReadonlySet<string> = new Set([
  ...[
    'Identity',
    'Cast',
    'Transpose',
    'Reshape',
    'Squeeze',
    'Unsqueeze',
    'Split',
    'Slice',
    'DequantizeLinear',
  ],
]);
/** Weights of one operand; more than any real one is made of. */
const MAX_WEIGHTS = 64;

/** What a node of the main graph multiplies and accumulates in one run. */
export interface Multiplication {
  readonly node: OnnxNode;
  /** A text says why they could not be counted, with the node as its subject. */
  readonly products: readonly WeighedProduct[] | string;
}

export interface WeighedProduct {
  readonly macs: number;
  /** The stored weights that its operand is made of, by name; none where activations multiply activations. */
  readonly weights: readonly string[];
}

/**
 * The nodes that multiply, with their multiply-accumulates: matrix products, convolutions, contractions by Einsum, recurrent layers, both products of attention, experts. What
 * is made of constants alone is not computed for each sample, and left out; so are sums, products of single numbers, pooling and normalizations.
 * @param model functions inlined
 * @param names of the stored weights
 */
export function findMultiplications(
  model: OnnxModel,
  names: ReadonlyMap<StoredTensor, string>,
  shapesOf: ShapesOf,
): Multiplication[] {
  const constants = findConstantWeights(model.graph, names, shapesOf);
  return model.graph.nodes.flatMap((node): Multiplication[] => {
    if (!multiplies(node) && !holdsLayers(model, node)) return [];
    if (isConstant(node, constants.made)) return [];
    const products = countProducts(node, shapesOf);
    if (typeof products === 'string') return [{ node, products }];
    const weighed = products.map(({ operands, macs }) => {
      const sources = operands.flatMap((input) => constants.of(node.inputs[input] ?? null));
      return { macs, weights: [...new Set(sources)] };
    });
    return weighed.length === 0 ? [] : [{ node, products: weighed }];
  });
}

/** How many nodes `findMultiplications` asks the sizes of. */
export function countMultiplying({ graph }: OnnxModel): number {
  return graph.nodes.filter(multiplies).length;
}

/** The values whose sizes `findMultiplications` may ask for, by name. */
export function valuesMultiplied({ graph }: OnnxModel): Set<string> {
  const values = graph.nodes.filter(multiplies).flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);
  return new Set(values.flatMap((value) => value?.name ?? []));
}

function countProducts(node: OnnxNode, shapesOf: ShapesOf) {
  const count = counterOf(node);
  if (!count) return node.subgraphs.length > 0 || !isNamedLike(node) ? INSIDE : UNKNOWN;
  try {
    return count(new Operands(node, shapesOf));
  } catch (error) {
    if (!(error instanceof UnknownShape)) throw error;
    return `takes or gives ${error.value}, whose sizes are not known`;
  }
}

function counterOf(node: OnnxNode): CountProducts | undefined {
  if (node.domain === '') return STANDARD.get(node.op);
  return node.domain === 'com.microsoft' ? MICROSOFT.get(node.op) : undefined;
}

function isNamedLike({ op, domain }: OnnxNode): boolean {
  return domain !== '' && MULTIPLYING.test(op);
}

function multiplies(node: OnnxNode): boolean {
  return counterOf(node) !== undefined || isNamedLike(node);
}

/** In a body, or in that of a function which could not be inlined. */
function holdsLayers(model: OnnxModel, node: OnnxNode): boolean {
  const seen = new Set<OnnxGraph>();
  const open = bodiesOf(model, node);
  for (let graph = open.pop(); graph !== undefined; graph = open.pop()) {
    if (seen.has(graph)) continue;
    seen.add(graph);
    if (graph.nodes.some(multiplies)) return true;
    for (const inner of graph.nodes) open.push(...bodiesOf(model, inner));
  }
  return false;
}

function bodiesOf(model: OnnxModel, node: OnnxNode): OnnxGraph[] {
  const called = model.functionOf(node);
  const inner = node.subgraphs.map(({ graph }) => graph);
  return called === null ? inner : [...inner, called];
}

interface ConstantWeights {
  /** Values that are made of what the model stores alone. */
  readonly made: ReadonlySet<OnnxValue>;
  /** The weights that a value is made of, or chosen from. */
  of(value: OnnxValue | null): readonly string[];
}

/** One sweep forward: which weights constants are made of, and what data pick of these. */
function findConstantWeights(
  graph: OnnxGraph,
  names: ReadonlyMap<StoredTensor, string>,
  shapesOf: ShapesOf,
): ConstantWeights {
  const made = new Set<OnnxValue>(graph.initializers);
  const sources = new Map<OnnxValue, readonly string[]>();
  const of = (value: OnnxValue | null) => (value && sources.get(value)) ?? [];
  const note = (value: OnnxValue, stored: StoredTensor | null | undefined) => {
    const name = stored && names.get(stored);
    if (name !== undefined && name !== null) sources.set(value, [name]);
  };
  for (const value of graph.initializers) note(value, value.initializer);
  for (const node of graph.nodes) {
    if (node.subgraphs.length > 0) continue;
    const isMade = isConstant(node, made);
    const taken = isMade
      ? node.inputs
      : isPicked(node, made, sources, shapesOf)
        ? node.inputs.slice(0, 1)
        : [];
    const own = [...new Set(taken.flatMap(of))].slice(0, MAX_WEIGHTS);
    for (const output of node.outputs) {
      if (output === null) continue;
      if (isMade) made.add(output);
      if (own.length > 0) sources.set(output, own);
      const value = node.is('Constant') ? node.attribute('value') : undefined;
      note(output, value?.t ?? node.attribute('sparse_value')?.sparseTensor);
    }
  }
  return { made, of };
}

function isConstant({ inputs, subgraphs }: OnnxNode, made: ReadonlySet<OnnxValue>): boolean {
  return subgraphs.length === 0 && inputs.every((value) => value === null || made.has(value));
}

/** Matrices that data choose of a weight, and what form these are given then. Of tables of fewer axes vectors are looked up, which a model computes with, not by. */
function isPicked(
  node: OnnxNode,
  made: ReadonlySet<OnnxValue>,
  sources: ReadonlyMap<OnnxValue, readonly string[]>,
  shapesOf: ShapesOf,
): boolean {
  const [data] = node.inputs;
  if (!data || !sources.has(data) || node.domain !== '') return false;
  if (!LOOKUPS.has(node.op)) return !made.has(data) && RESHAPING.has(node.op);
  return made.has(data) && (shapesOf(data.name)?.length ?? 0) >= MATRICES;
}
