import { fromMatrix, toMatrix } from './fittable-layers.ts';
import { fitLayers, fitRows } from './layer-fit.ts';
import type { RepairContext, RepairWork } from './repair-context.ts';
import type { TensorEdits } from './tensor-edits.ts';

/**
 * Gives the kept weights `w'` of every output unit of the pruned layers the values that minimise `|Xp w' - Xd w|^2 + damping |w' - w|^2`: Xd the inputs of the dense layer and w its weights, Xp what comes in
 * now that the layers before it are repaired, over all samples, at enough positions; of a convolution they are the patches that its filters see. What another repair has given the bias of each place is taken off `Xd w`. Weights
 * that are zero stay zero, biases as they are. The samples go through each model about once.
 * @throws EmpError non_finite_activation naming the weight, and the samples where their products are not finite, and what `openSession`, `planBatches` and `runBatch` throw
 */
export async function repairByLeastSquares(context: RepairContext, edits: TensorEdits): Promise<RepairWork> {
  return await fitLayers(context, edits, async (layers, solver) => {
    for (const layer of layers) {
      const { pruned } = layer.pair;
      const matrix = toMatrix(pruned, await edits.read(pruned.weight));
      await fitRows(layer, matrix, (system) => solver.solve(system));
      await edits.write(pruned.weight, fromMatrix(pruned, matrix));
    }
  });
}
