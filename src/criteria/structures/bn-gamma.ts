import type { ModelTensor } from '../../formats/model.ts';
import { readStoredGraph } from '../../graph/interface.ts';
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
        return (squares.get(tensor) ?? []).flatMap((own) =>
          [...own].filter((_, channel) => positions.includes(channel % step)),
        );
      });
      return Math.sqrt(found.reduce((sum, square) => sum + square, 0) / found.length);
    }),
  );
};

/** The stored scales of the BatchNormalizations that read a layer's output, by the layer's weight. */
async function findGammas({ model }: CriterionContext): Promise<Map<string, ModelTensor[]>> {
  const read = await readStoredGraph(model);
  const stored = new StoredValues(read);
  const tensors = new Map(model.inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const gammas = new Map<string, ModelTensor[]>();
  for (const { op, inputs } of read.graph.nodes) {
    const gamma = op === 'BatchNormalization' ? tensors.get(stored.tensorOf(inputs[1]) ?? '') : undefined;
    for (const input of inputs[0]?.producer?.inputs ?? []) {
      const weight = tensors.get(stored.tensorOf(input) ?? '');
      if (gamma && weight?.role === 'weight')
        gammas.set(weight.name, [...(gammas.get(weight.name) ?? []), gamma]);
    }
  }
  return gammas;
}
