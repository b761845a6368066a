import type { ModelInventory } from '../formats/model.ts';
import type { OnnxGraph, OnnxModel, OnnxNode } from '../graph/onnx-model.ts';
import type { EditedInputs } from '../graph/passes/join-constants.ts';
import { isStandard } from '../graph/proto-walk.ts';
import { StoredValues } from '../graph/stored-values.ts';
import { reasonNotToEdit, tensorOf } from './editable-tensors.ts';
import type { Findings, LeftOut } from './repair-context.ts';

/** A BatchNormalization of the main graph whose statistics can be written anew. */
export interface BatchNorm {
  readonly node: OnnxNode;
  /** Name of the value that it normalizes: axis 1 counts the channels. */
  readonly input: string;
  readonly channels: number;
  /** Names of the stored tensors, each with one number a channel. */
  readonly mean: string;
  readonly variance: string;
}

/** Inputs of the operator. */
const [MEAN, VARIANCE] = [3, 4];
/** Before it the operator had a mode of its own for training. */
const MIN_OPSET = 7;

/** Whether a node's input is one of the statistics that are written anew. */
export const isStatistic: EditedInputs = (node, input) =>
  node.opType === 'BatchNormalization' && isStandard(node) && (input === MEAN || input === VARIANCE);

export function findBatchNorms(model: OnnxModel, inventory: ModelInventory): Findings<BatchNorm> {
  const stored = new StoredValues(model);
  const found: BatchNorm[] = [];
  const leftOut: LeftOut[] = [];
  for (const graph of [model.graph, ...model.functions, ...bodiesOf(model.graph)]) {
    for (const node of graph.nodes.filter((each) => each.is('BatchNormalization'))) {
      const norm = graph === model.graph ? describe(node, model, stored, inventory) : INSIDE;
      if (typeof norm === 'string') leftOut.push({ name: node.label, reason: norm });
      else found.push(norm);
    }
  }
  return { found, leftOut };
}

const INSIDE = 'stands in a function or in the body of an If, Loop or Scan, where nothing can be measured';

function describe(
  node: OnnxNode,
  { opset }: OnnxModel,
  stored: StoredValues,
  inventory: ModelInventory,
): BatchNorm | string {
  const [input] = node.inputs;
  if (opset < MIN_OPSET) return `is of an ONNX version before ${MIN_OPSET}`;
  if (node.integer('training_mode', 0) !== 0) return 'normalizes by the statistics of each batch';
  if (node.integer('spatial', 1) === 0) return 'has statistics for every position';
  const [mean, variance] = [MEAN, VARIANCE].map((slot) => stored.tensorOf(node.inputs[slot]));
  if (!input || mean == null || variance == null) return 'computes its statistics';
  if (mean === variance) return 'has one tensor for mean and variance';
  for (const [name, slot] of [[mean, MEAN] as const, [variance, VARIANCE] as const]) {
    const other = stored.otherReader(name, (reader, read) => reader === node && read === slot);
    if (other === node) return `reads ${name} as its scale or bias too`;
    if (other) return `shares ${name} with node ${other.label}`;
    const reason = reasonNotToEdit(name, inventory);
    if (reason) return `has statistics that cannot be written: ${name} ${reason}`;
  }
  const channels = tensorOf(inventory, mean)?.shape[0] ?? 0;
  return { node, input: input.name, channels, mean, variance };
}

function bodiesOf({ nodes }: OnnxGraph): OnnxGraph[] {
  return nodes.flatMap(({ subgraphs }) => subgraphs.flatMap(({ graph }) => [graph, ...bodiesOf(graph)]));
}
