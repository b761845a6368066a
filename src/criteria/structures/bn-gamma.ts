import type { ModelTensor } from '../../formats/model.ts';
import { readStoredGraph } from '../../graph/interface.ts';
import type { OnnxNode } from '../../graph/onnx-model.ts';
import { StoredValues } from '../../graph/stored-values.ts';
import { cannotScore } from '../capturable.ts';
import type { CriterionContext, StructureScorer } from '../context.ts';
import { squaresAlong } from '../weight-chunks.ts';

/**
 * `s = |gamma|` of the BatchNormalization behind the layer that computes a structure; of several the root mean square.
 * @throws EmpError unsupported_model naming the families that have none
 */
export const score: StructureScorer<'bn_gamma'> = async (families, context) => {
  const gammasOf = await findGammas(context);
  const bare = families.filter(
    ({ structures: [{ producers }] }) => !producers.some(({ tensor }) => gammasOf.has(tensor)),
  );
  const message =
    'no BatchNormalization follows the layers that compute it; exclude it or use another criterion';
  if (bare.length > 0)
    throw cannotScore(
      'bn_gamma',
      bare.map(({ name }) => ({ path: name, message })),
    );
  const squares = new Map<string, Float64Array[]>();
  for (const [producer, gammas] of gammasOf) {
    const own: Float64Array[] = [];
    for (const gamma of gammas) own.push(await squaresAlong(gamma, 0, context));
    squares.set(producer, own);
  }
  const shapes = new Map(context.model.inventory.tensors.map(({ name, shape }) => [name, shape]));
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

/** Of every stretch of `step` numbers those at `positions`, which ascend. */
function everyStep(numbers: Float64Array, step: number, positions: readonly number[]): number[] {
  const found: number[] = [];
  for (let start = 0; start < numbers.length; start += step) {
    for (const position of positions)
      if (start + position < numbers.length) found.push(numbers[start + position]);
  }
  return found;
}

/** The stored scales of the BatchNormalizations that read a layer's output, by the layer's weight. */
async function findGammas({ model }: CriterionContext): Promise<Map<string, ModelTensor[]>> {
  const onnx = await readStoredGraph(model);
  const stored = new StoredValues(onnx);
  const tensors = new Map(model.inventory.tensors.map((tensor) => [tensor.name, tensor]));
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
