import { isEditable, type ModelTensor } from '../../formats/model.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import { readWholeGraph } from '../../graph/interface.ts';
import type { OnnxModel, OnnxNode } from '../../graph/onnx-model.ts';

export interface BothTensors {
  readonly original: ModelTensor;
  readonly pruned: ModelTensor;
}

/** A tensor in both models. */
export interface TensorPair extends BothTensors {
  /** `position`: the names differ, and the same node reads both at the same input. `content`: the values of the original are found there. */
  readonly matchedBy: 'name' | 'position' | 'content';
}

export interface Matched {
  /** In the order of the original. */
  readonly pairs: readonly TensorPair[];
  readonly onlyInOriginal: readonly ModelTensor[];
  readonly onlyInPruned: readonly ModelTensor[];
}

/**
 * The tensors that two models have in common: by name, and in ONNX graphs what was renamed by where it is read. Only floats and what stands for them are looked at; shapes and axes are no parameters.
 */
export async function matchTensors(original: StoredModel, pruned: StoredModel): Promise<Matched> {
  const ofOriginal = original.inventory.tensors.filter(isListed);
  const ofPruned = new Map(pruned.inventory.tensors.filter(isListed).map((tensor) => [tensor.name, tensor]));
  const unnamed = new Set(ofOriginal.filter(({ name }) => !ofPruned.has(name)).map(({ name }) => name));
  const strange = new Set(ofPruned.keys());
  for (const { name } of ofOriginal) strange.delete(name);
  const renamed = unnamed.size > 0 && strange.size > 0 ? await renamedTensors(original, pruned) : new Map();
  const pairs: TensorPair[] = [];
  for (const tensor of ofOriginal) {
    const same = ofPruned.get(tensor.name);
    const moved = ofPruned.get(renamed.get(tensor.name) ?? '');
    if (same) pairs.push({ original: tensor, pruned: same, matchedBy: 'name' });
    else if (moved && strange.delete(moved.name) && unnamed.delete(tensor.name))
      pairs.push({ original: tensor, pruned: moved, matchedBy: 'position' });
  }
  return {
    pairs,
    onlyInOriginal: ofOriginal.filter(({ name }) => unnamed.has(name)),
    onlyInPruned: [...strange].flatMap((name) => ofPruned.get(name) ?? []),
  };
}

function isListed(tensor: ModelTensor): boolean {
  return isEditable(tensor) || tensor.role === 'weight';
}

/** By a tensor's name in the original what the same input of the same node is called in the other graph. */
async function renamedTensors(original: StoredModel, pruned: StoredModel): Promise<Map<string, string>> {
  const isGraph = original.inventory.format === 'onnx' && pruned.inventory.format === 'onnx';
  if (!isGraph) return new Map();
  const [before, after] = [await readWholeGraph(original), await readWholeGraph(pruned)];
  const keyOf = haveSameNodes(before, after) ? keyByPlace : keyByOutput;
  const names = inputNames(after, keyOf);
  const renamed = new Map<string, string>();
  for (const [slot, name] of inputNames(before, keyOf)) {
    const other = names.get(slot);
    if (other !== undefined && !renamed.has(name)) renamed.set(name, other);
  }
  return renamed;
}

type NodeKey = (node: OnnxNode, place: number) => string;
const keyByPlace: NodeKey = (_, place) => String(place);
/** What a node computes has a name of its own, which exporters and simplifiers keep. */
const keyByOutput: NodeKey = ({ qualifiedOp, proto }) => `${qualifiedOp} ${proto.output[0]}`;

function haveSameNodes(one: OnnxModel, other: OnnxModel): boolean {
  const operators = ({ graph }: OnnxModel) => graph.nodes.map(({ qualifiedOp }) => qualifiedOp).join(' ');
  return operators(one) === operators(other);
}

/** What every input of the main graph's nodes is called. */
function inputNames({ graph }: OnnxModel, keyOf: NodeKey): Map<string, string> {
  return new Map(
    graph.nodes.flatMap((node, place) =>
      node.proto.input.map((name, input): [string, string] => [`${input} of ${keyOf(node, place)}`, name]),
    ),
  );
}
