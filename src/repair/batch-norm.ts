import type { ModelInventory } from '../formats/model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { OnnxModel, OnnxNode } from '../graph/onnx-model.ts';
import type { Reduction } from '../graph/passes/append-sums.ts';
import { type CaptureRequest, captureSums } from '../runtime/capture.ts';
import type { LeftOut, RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { repairOrder } from './repair-order.ts';
import type { TensorEdits } from './tensor-edits.ts';
import { type BatchNorm, findBatchNorms } from './writable-batch-norms.ts';

/**
 * Gives every BatchNormalization the mean and the unbiased variance, `sum (x - mean)^2 / (n - 1)`, of its input over all samples and positions of the
 * calibration data, upstream first: each is measured with those before it repaired. This is what PyTorch's running statistics become by one training-mode pass over all the data
 * as one batch with momentum 1, but that the data are streamed. One pass over the samples for each BatchNormalization on the longest way through the graph.
 * @throws EmpError as `captureSums`
 */
export async function repairBatchNorms(context: RepairContext, edits: TensorEdits): Promise<RepairWork> {
  const { pruned } = context;
  const model = await readStoredGraph(pruned);
  const { found, leftOut } = findBatchNorms(model, pruned.inventory);
  const single: LeftOut[] = [];
  for (const norms of repairOrder(model.graph, found, nodesOf)) {
    const requests = norms.flatMap((norm) => [request(norm, 'sum'), request(norm, 'sum_of_squares')]);
    const sums = await captureSums(model, requests, { ...context, model: pruned });
    for (const [i, { node, mean, variance }] of norms.entries()) {
      const [{ sums: values, counts }, { sums: squares }] = sums.slice(2 * i, 2 * i + 2);
      const [count] = counts;
      if (count < 2) {
        single.push({ name: node.label, reason: 'gets one number a channel, which has no variance' });
        continue;
      }
      const means = values.map((sum) => sum / count);
      const deviations = squares.map((square, channel) => square - values[channel] * means[channel]);
      const variances = deviations.map((deviation) => Math.max(0, deviation) / (count - 1));
      await edits.write(mean, means);
      await edits.write(variance, variances);
    }
  }
  return { nRepaired: found.length - single.length, leftOut: [...leftOut, ...single] };
}

export function planBatchNorms(model: OnnxModel, inventory: ModelInventory): RepairPlan {
  const { found, leftOut } = findBatchNorms(model, inventory);
  return { nRepaired: found.length, leftOut, nPasses: repairOrder(model.graph, found, nodesOf).length };
}

function nodesOf({ node }: BatchNorm): OnnxNode[] {
  return [node];
}

function request({ input, channels, mean }: BatchNorm, reduction: Reduction): CaptureRequest {
  const activations = { value: input, size: channels, trailing: null };
  return { activations, reduction, tensor: mean, side: 'input' };
}
