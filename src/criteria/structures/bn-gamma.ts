import type { ModelInventory, ModelTensor } from '../../formats/model.ts';
import { readStoredGraph } from '../../graph/interface.ts';
import type { OnnxModel, OnnxNode } from '../../graph/onnx-model.ts';
import { StoredValues } from '../../graph/stored-values.ts';
import { producersOf } from '../../structure/families.ts';
import { cannotScore } from '../capturable.ts';
import type { StructureScorer } from '../context.ts';
import { squaresAlong } from '../weight-chunks.ts';

/**
 * `s = |gamma|` of the BatchNormalization behind the layer that computes a structure; of several the root mean square.
 * @throws EmpError unsupported_model naming the families that have none
 */
export const score: StructureScorer<'bn_gamma'> = async (families, context) => {
  const { inventory } = context.model;
  const computed = families.map((family) => ({ name: family.name, producers: producersOf(family) }));
  const gammasOf = checkGammas(computed, await readStoredGraph(context.model), inventory);
  const squares = new Map<string, Float64Array[]>();
  for (const [producer, gammas] of gammasOf) {
    const own: Float64Array[] = [];
    for (const gamma of gammas) own.push(await squaresAlong(gamma, 0, context));
    squares.set(producer, own);
  }
  const shapes = new Map(inventory.tensors.map(({ name, shape }) => [name, shape]));
  return families.map(({ structures }) =>
    Float64Array.from(structures, ({ producers }) => {
      const found = producers.flatMap(({ tensor, axis, positions }) => {
        // A transposed convolution in groups has as many channels for each position as groups.
        const step = shapes.get(tensor)?.[axis] ?? 1;
        return (squares.get(tensor) ?? []).flatMap((own) => everyStep(own, step, positions));
      });
      return Math.sqrt(found.reduce((sum, square) => sum + square, 0) / found.length);
    }),
  );
};

/**
 * The stored scales of the BatchNormalizations that read a layer's output, by the layer's weight. Runs nothing.
 * @throws EmpError unsupported_model naming the families that have none
 */
export function checkGammas(
  families: readonly { readonly name: string; readonly producers: readonly string[] }[],
  model: OnnxModel,
  inventory: ModelInventory,
): Map<string, ModelTensor[]> {
  const gammasOf = findGammas(model, inventory);
  const bare = families.filter(({ producers }) => !producers.some((weight) => gammasOf.has(weight)));
  const message =
    'no BatchNormalization follows the layers that compute it; exclude it or use criterion l2_norm';
  if (bare.length === 0) return gammasOf;
  throw cannotScore(
    'bn_gamma',
    bare.map(({ name }) => ({ path: name, message })),
  );
}

/** Of every stretch of `step` numbers those at `positions`, which ascend. */
function everyStep(numbers: Float64Array, step: number, positions: readonly number[]): number[] {
  const found: number[] = [];
  for (let start = 0; start < numbers.length; start += step) {
    for (const position of positions)
      if (start + position < numbers.length) found.push(numbers[start + position]);
  }
  return found;
}

function findGammas(onnx: OnnxModel, inventory: ModelInventory): Map<string, ModelTensor[]> {
  const stored = new StoredValues(onnx);
  const tensors = new Map(inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const read = new Map<OnnxNode, readonly string[]>();
  const weightsOf = (layer: OnnxNode): readonly string[] => {
    const known = read.get(layer);
    if (known) return known;
    const names = layer.inputs.flatMap((input) => stored.tensorOf(input) ?? []);
    const weights = names.filter((name) => tensors.get(name)?.role === 'weight');
    read.set(layer, weights);
    return weights;
  };
  const gammas = new Map<string, ModelTensor[]>();
  for (const { op, inputs } of onnx.graph.nodes) {
    const gamma = op === 'BatchNormalization' ? tensors.get(stored.tensorOf(inputs[1]) ?? '') : undefined;
    const layer = inputs[0]?.producer;
    for (const weight of gamma && layer ? weightsOf(layer) : []) {
      const own = gammas.get(weight) ?? [];
      if (gamma) own.push(gamma);
      gammas.set(weight, own);
    }
  }
  return gammas;
}
