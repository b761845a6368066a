import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import type { OnnxModel, OnnxNode } from '../graph/onnx-model.ts';
import { Origins } from '../graph/origins.ts';
import { StoredValues } from '../graph/stored-values.ts';
import { addValues, type IndexMap } from '../graph/weights/index-map.ts';
import { findLayers, type Layer, NO_LAYER } from '../graph/weights/weight-layers.ts';
import type { WeightSite } from '../graph/weights/weight-sites.ts';
import { isStoredAsFloats, reasonNotToEdit, tensorOf } from './editable-tensors.ts';
import type { PatchWindow } from './patch-positions.ts';
import type { Findings, LeftOut } from './repair-context.ts';
import { findFollowing } from './repair-order.ts';

/** What a layer multiplies by its matrix: the rows of a value, or the patches that a convolution sees. */
export type LayerInput =
  /** The features are the axis before the `trailing` last ones. */
  | { readonly how: 'rows'; readonly value: string; readonly trailing: number }
  /** Of axis 1, which counts the channels. */
  | PatchedInput;

/** A value that is seen through a window of its spatial axes. */
export interface PatchedInput {
  readonly how: 'patches';
  readonly value: string;
  readonly channels: number;
  readonly window: PatchWindow;
}

/** Where a layer's matrix is multiplied. */
export interface LayerPlace {
  readonly node: OnnxNode;
  readonly input: LayerInput;
  /** Axes behind the output's units; of a convolution all that are spatial. */
  readonly trailing: number;
}

/** A layer that is a matrix for each of its groups: `[groups, units, features]`, units and features of one group. */
export interface FittableLayer {
  readonly weight: string;
  readonly groups: number;
  readonly units: number;
  readonly features: number;
  /** Several where layers share the weight. */
  readonly places: readonly LayerPlace[];
  /** Where each of the stored elements stands in the matrix; null for where it is stored. */
  readonly positions: { readonly features: IndexMap; readonly units: IndexMap } | null;
}

/** Numbers of one Gram matrix, those of all groups together: half a gigabyte of float64. */
const MAX_GRAM_ELEMENTS = 2 ** 26;
/** Of a weight, which is in memory as float64 a few times. */
const MAX_WEIGHT_ELEMENTS = 2 ** 26;
const CHUNK_ELEMENTS = 2 ** 18;
const PRODUCTS = new Set(['MatMul', 'Gemm']);

/** What layers that get the same inputs in all their places have in common. */
export function inputsKey({ groups, features, places }: FittableLayer): string {
  return JSON.stringify([groups, features, places.map(({ input }) => input)]);
}

/** The layers of `weights` whose outputs are a stored matrix times what comes in, and whose matrix can be written. */
export function findFittableLayers(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): Findings<FittableLayer> {
  const stored = new StoredValues(model);
  const layers = findLayers(model, weights);
  const nodesOf = new Map(
    [...layers].map(([name, { sites }]) => [name, new Set(sites.map(({ node }) => node))]),
  );
  const following = findFollowing(model.graph, [...nodesOf.values()]);
  const described = describeLayers(model, inventory, weights);
  const found: FittableLayer[] = [];
  const leftOut: LeftOut[] = [];
  for (const name of weights) {
    const nodes = nodesOf.get(name);
    const reason = nodes ? reasonToLeaveOut(name, nodes, following.has(nodes), stored, inventory) : NO_LAYER;
    const fittable = reason ?? described.get(name) ?? NO_LAYER;
    if (typeof fittable === 'string') leftOut.push({ name, reason: fittable });
    else found.push(fittable);
  }
  return { found, leftOut };
}

/** The layers of `weights`, by the weight, to be read; a text says why one is no stored matrix times what comes in. */
export function describeLayers(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): Map<string, FittableLayer | string> {
  const stored = new StoredValues(model);
  const casts = new Origins(({ op }) => op.startsWith('Cast'));
  const described = new Map<string, FittableLayer | string>();
  for (const [name, layer] of findLayers(model, weights)) {
    const tensor = tensorOf(inventory, name);
    if (tensor === undefined || !isStoredAsFloats(name, inventory))
      described.set(name, 'is not stored as floats');
    else described.set(name, describe(layer, tensor, stored, casts));
  }
  return described;
}

function reasonToLeaveOut(
  weight: string,
  nodes: ReadonlySet<OnnxNode>,
  isFollowing: boolean,
  stored: StoredValues,
  inventory: ModelInventory,
): string | null {
  const other = stored.otherReader(weight, (node) => nodes.has(node));
  if (other) return `is read by node ${other.title}, not by its layer alone`;
  if (isFollowing) return 'is shared by layers that follow each other';
  return reasonNotToEdit(weight, inventory);
}

function describe(
  layer: Layer,
  { shape }: ModelTensor,
  stored: StoredValues,
  casts: Origins,
): FittableLayer | string {
  const [{ node }] = layer.sites;
  const isOp = (ops: ReadonlySet<string>) =>
    layer.sites.every(({ node: { op, domain } }) => domain === '' && ops.has(op));
  const isProduct = isOp(PRODUCTS);
  if (!isProduct && !isOp(new Set(['Conv'])))
    return `is the weight of node ${node.title}, which is no MatMul, Gemm or Conv`;
  const fittable = isProduct ? asProduct(layer) : asConvolution(layer, shape, stored, casts);
  if (typeof fittable === 'string') return fittable;
  const { groups, units, features } = fittable;
  if (groups * features ** 2 > MAX_GRAM_ELEMENTS)
    return `has ${groups * features} input features, too many for the memory that their products take`;
  if (groups * units * features > MAX_WEIGHT_ELEMENTS)
    return 'has too many weights to be solved for in memory';
  return fittable;
}

function asProduct({ weight, sites, features, units }: Layer): FittableLayer | string {
  const places: LayerPlace[] = [];
  let [nFeatures, nUnits] = [0, 0];
  for (const { node, source, result } of sites) {
    const problem = [source, result].find((side) => typeof side === 'string');
    if (typeof source === 'string' || typeof result === 'string')
      return `is the weight of node ${node.title}, which ${problem}`;
    if (source.matrices || result.matrices)
      return `is the weight of node ${node.title}, which has input features along more axes than one`;
    [nFeatures, nUnits] = [source.size, result.size];
    const input: LayerInput = { how: 'rows', value: source.value, trailing: source.trailing };
    places.push({ node, input, trailing: result.trailing });
  }
  if (features === null || units === null) return 'is used in parts';
  return { weight, groups: 1, units: nUnits, features: nFeatures, places, positions: { features, units } };
}

function asConvolution(
  { weight, sites }: Layer,
  [filters, inputs, ...kernel]: readonly number[],
  stored: StoredValues,
  casts: Origins,
): FittableLayer | string {
  const groupsOf = ({ node }: WeightSite) => node.integer('group', 1);
  const groups = groupsOf(sites[0]);
  const places: LayerPlace[] = [];
  for (const site of sites) {
    const { node, source } = site;
    if (typeof source === 'string') return `is the weight of node ${node.label} (Conv), which ${source}`;
    // Before they were made another format.
    const filters = node.inputs[1] && casts.of(node.inputs[1]);
    if (stored.tensorOf(filters) !== weight || groupsOf(site) !== groups)
      return `is rearranged before node ${node.label} (Conv)`;
    const window = {
      kernel,
      strides: node.integers('strides') ?? kernel.map(() => 1),
      dilations: node.integers('dilations') ?? kernel.map(() => 1),
      pads: node.integers('pads') ?? [...kernel, ...kernel].map(() => 0),
      autoPad: node.text('auto_pad', 'NOTSET'),
    };
    const input: LayerInput = { how: 'patches', value: source.value, channels: groups * inputs, window };
    places.push({ node, input, trailing: kernel.length });
  }
  const features = kernel.reduce((product, size) => product * size, inputs);
  return { weight, groups, units: filters / groups, features, places, positions: null };
}

/** What a layer has of each of its elements: weights, or whether they are kept. */
export type PerElement = Float64Array | Uint8Array;

/** The matrix of a layer, of its stored elements. */
export function toMatrix<T extends PerElement>(layer: FittableLayer, elements: T): T {
  if (layer.positions === null) return elements;
  const matrix = elements.slice() as T;
  eachPosition(layer, elements.length, (element, position) => {
    matrix[position] = elements[element];
  });
  return matrix;
}

/** The stored elements of a layer, of its matrix. */
export function fromMatrix<T extends PerElement>(layer: FittableLayer, matrix: T): T {
  if (layer.positions === null) return matrix;
  const elements = matrix.slice() as T;
  eachPosition(layer, matrix.length, (element, position) => {
    elements[element] = matrix[position];
  });
  return elements;
}

/** Visits the elements of a layer's stored weight, of which there are `n`, and where each stands in the matrix. */
export function eachPosition(
  { positions, units, features }: FittableLayer,
  n: number,
  visit: (element: number, position: number) => void,
): void {
  if (positions === null) {
    for (let element = 0; element < n; element++) visit(element, element);
    return;
  }
  const rowStarts = Float64Array.from({ length: units }, (_, unit) => unit * features);
  const columns = Float64Array.from({ length: features }, (_, feature) => feature);
  for (let start = 0; start < n; start += CHUNK_ELEMENTS) {
    const [rows, places] = [0, 1].map(() => new Float64Array(Math.min(CHUNK_ELEMENTS, n - start)));
    addValues(positions.units ?? [], rowStarts, start, rows);
    addValues(positions.features ?? [], columns, start, places);
    for (let i = 0; i < rows.length; i++) visit(start + i, rows[i] + places[i]);
  }
}
