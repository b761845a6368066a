import { packMask, unpackMask } from '../core/keep-mask.ts';
import { chooseRows } from './choose-rows.ts';
import { fromMatrix, toMatrix } from './fittable-layers.ts';
import { inverseDiagonal } from './inverse-diagonal.ts';
import { fitLayers, fitRows, type LayerFit } from './layer-fit.ts';
import type { MovedWeights, RepairContext, RepairWork } from './repair-context.ts';
import { readNumbers, type TensorEdits } from './tensor-edits.ts';

/**
 * Fits layers as `repairByLeastSquares` does, from the dense weights on, and chooses which of them every row keeps on the way, as many as its keep mask has: `chooseRows`. Writes weights and masks.
 * @throws EmpError as `fitLayers` and `fitRows`
 */
export async function repairMasksByLeastSquares(
  context: RepairContext,
  edits: TensorEdits,
): Promise<RepairWork> {
  const moved: MovedWeights[] = [];
  const work = await fitLayers(context, edits, async (layers, solver) => {
    const inverse = await inverseOf(layers[0]);
    for (const layer of layers) {
      const { dense, pruned } = layer.pair;
      const { weight: name } = pruned;
      const matrix = toMatrix(dense, await readNumbers(context.dense, name));
      const scored = toMatrix(pruned, unpackMask(await edits.readMask(name), matrix.length));
      const kept = scored.slice();
      await fitRows(layer, matrix, async (system, { take, put }) => {
        const chosen = await chooseRows(system, take(scored), inverse, solver);
        put(kept, chosen.kept);
        return chosen.rows;
      });
      await edits.write(name, fromMatrix(pruned, matrix));
      await edits.writeMask(name, packMask(fromMatrix(pruned, kept)));
      moved.push({ name, nMoved: kept.reduce((sum, keep, i) => sum + Number(keep > scored[i]), 0) });
    }
  });
  return { ...work, moved };
}

/** The diagonal of the inverse of each group's equations, `[groups, features]`; 0 where no sample reaches the layer. */
async function inverseOf({ pair, grams: { gram }, damping, context }: LayerFit): Promise<Float64Array> {
  const { groups, features } = pair.pruned;
  const inverse = new Float64Array(groups * features);
  for (let group = 0; group < groups; group++) {
    if (!(damping[group] > 0)) continue;
    const own = gram.subarray(group * features ** 2, (group + 1) * features ** 2);
    inverse.set(await inverseDiagonal(own, features, damping[group], context.signal), group * features);
  }
  return inverse;
}
