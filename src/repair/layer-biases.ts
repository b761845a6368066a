import type { ModelInventory } from '../formats/model.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import type { EditedInputs } from '../graph/passes/join-constants.ts';
import { isStandard } from '../graph/proto-walk.ts';
import { StoredValues } from '../graph/stored-values.ts';
import { findLayers, NO_LAYER } from '../graph/weights/weight-layers.ts';
import type { Activations, WeightSite } from '../graph/weights/weight-sites.ts';
import { reasonNotToEdit } from './editable-tensors.ts';
import type { Findings, LeftOut } from './repair-context.ts';
import { findFollowing } from './repair-order.ts';

/** A layer that a bias is added in. */
export interface BiasPlace {
  readonly weight: string;
  /** Which of the sites of the weight's layer it is. */
  readonly site: number;
  readonly node: OnnxNode;
  /** What the layer gives, bias included. */
  readonly output: Activations;
}

/** A stored bias, one number for each output unit, that pruned layers have for themselves. */
export interface LayerBias {
  readonly tensor: string;
  /** By which it is multiplied before it is added. */
  readonly factor: number;
  /** Several where layers share weight and bias. */
  readonly places: readonly BiasPlace[];
}

/** What is added in one place of a layer, whoever else reads it. */
export interface PlacedBias {
  readonly tensor: string;
  readonly factor: number;
  /** The node that adds it, and by which of its inputs. */
  readonly reader: OnnxNode;
  readonly slot: number;
  readonly node: OnnxNode;
  readonly output: Activations;
}

type Candidate = PlacedBias & BiasPlace;

/** Operators with a bias, and which of their inputs it is. */
const WITH_BIAS = new Set(['Gemm', 'Conv', 'ConvTranspose']);
const BIAS = 2;
const NO_BIAS = 'has no bias of its own';
const PARTIAL_BIAS = 'has a bias that is a part of another tensor, or computed';
const QUANTIZED_BIAS = 'has a quantized bias, which is not written';

/** Whether a node's input is one that a bias stands in, which of an Add may be either. */
export const isBias: EditedInputs = (node, input, { dims }) => {
  if (!isStandard(node)) return false;
  if (WITH_BIAS.has(node.opType)) return input === BIAS;
  return node.opType === 'Add' && dims.filter((size) => size !== 1n).length === 1;
};

/** The biases of the layers of `weights`. */
export function findBiases(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): Findings<LayerBias> {
  const stored = new StoredValues(model);
  const placed = placedBiases(model, inventory, weights);
  const leftOut: LeftOut[] = [];
  const byTensor = new Map<string, Candidate[]>();
  for (const weight of weights) {
    const places = placed.get(weight);
    if (places === undefined) leftOut.push({ name: weight, reason: NO_LAYER });
    for (const [site, bias] of places?.entries() ?? []) {
      if (typeof bias === 'string') leftOut.push({ name: weight, reason: bias });
      else {
        const places = byTensor.get(bias.tensor) ?? [];
        places.push({ weight, site, ...bias });
        byTensor.set(bias.tensor, places);
      }
    }
  }
  const nodesOf = new Map(
    [...byTensor].map(([tensor, places]) => [tensor, new Set(places.map(({ node }) => node))]),
  );
  const following = findFollowing(model.graph, [...nodesOf.values()]);
  const found: LayerBias[] = [];
  for (const [tensor, places] of byTensor) {
    const isFollowing = following.has(nodesOf.get(tensor) ?? new Set());
    const reason = reasonToLeaveOut(tensor, places, isFollowing, stored, inventory);
    if (reason === null) found.push({ tensor, factor: places[0].factor, places });
    else for (const { weight } of places) leftOut.push({ name: weight, reason });
  }
  return { found, leftOut: onceEach(leftOut) };
}

/** A weight may be that of many layers. */
function onceEach(leftOut: readonly LeftOut[]): LeftOut[] {
  return [...new Map(leftOut.map((each) => [`${each.name} ${each.reason}`, each])).values()];
}

/** What every place of the layers of `weights` adds, by the weight; a text says why it is no bias. */
export function placedBiases(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): Map<string, (PlacedBias | string)[]> {
  const stored = new StoredValues(model);
  const shapes = new Map(inventory.tensors.map(({ name, shape }) => [name, shape]));
  return new Map(
    [...findLayers(model, weights)].map(([weight, { sites }]) => [
      weight,
      sites.map((site) => biasOf(site, stored, shapes)),
    ]),
  );
}

function biasOf(
  { node, result }: WeightSite,
  stored: StoredValues,
  shapes: ReadonlyMap<string, readonly number[]>,
): PlacedBias | string {
  if (typeof result === 'string') return `is the weight of node ${node.title}, which ${result}`;
  if (result.matrices)
    return `is the weight of node ${node.title}, which has output units along more axes than one`;
  const { size, trailing } = result;
  const own = WITH_BIAS.has(node.op) && node.domain === '' ? node.inputs[BIAS] : null;
  const add = own ? null : addOf(node, result);
  const tensor = stored.tensorOf(own ?? add?.bias);
  const shape = shapes.get(tensor ?? '');
  if (tensor === null || shape === undefined)
    return (own ?? add?.bias)?.producer?.is('DequantizeLinear')
      ? QUANTIZED_BIAS
      : own
        ? PARTIAL_BIAS
        : NO_BIAS;
  // A convolution adds its own bias to the channels, whatever comes after them.
  const behind = own && node.op !== 'Gemm' ? 0 : trailing;
  const unitAxis = shape.length - 1 - behind;
  if (unitAxis < 0 || shape.some((length, axis) => length !== (axis === unitAxis ? size : 1))) return NO_BIAS;
  const factor = own && node.op === 'Gemm' ? node.float('beta', 1) : 1;
  if (factor === 0) return NO_BIAS;
  const added = add ?? { node, slot: BIAS };
  return { tensor, factor, reader: added.node, slot: added.slot, node, output: result };
}

/** The Add by which the layer's result is its product and a bias. */
function addOf(
  node: OnnxNode,
  result: Activations,
): { node: OnnxNode; slot: number; bias: OnnxValue | null } | null {
  const [product] = node.outputs;
  const use = product?.uses[0];
  if (product == null || product.name === result.value || use === undefined) return null;
  const slot = 1 - use.input;
  return { node: use.node, slot, bias: use.node.inputs[slot] };
}

function reasonToLeaveOut(
  tensor: string,
  places: readonly Candidate[],
  isFollowing: boolean,
  stored: StoredValues,
  inventory: ModelInventory,
): string | null {
  const slots = new Map(places.map(({ reader, slot }) => [reader, slot]));
  const other = stored.otherReader(tensor, (node, input) => slots.get(node) === input);
  if (other) return `shares its bias ${tensor} with node ${other.title}`;
  const reason = reasonNotToEdit(tensor, inventory);
  if (reason) return `has a bias that cannot be written: ${tensor} ${reason}`;
  if (places.some(({ factor }) => factor !== places[0].factor))
    return `multiplies its bias ${tensor} differently in each place`;
  if (isFollowing) return `comes after itself with the bias ${tensor}`;
  return null;
}
