import { clone } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { modelOutputs } from '../graph/interface.ts';
import { chooseOutput } from '../graph/measured-output.ts';
import { nameStoredTensors } from '../graph/onnx-inventory.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { inlineFunctions } from '../graph/passes/inline-functions.ts';
import { runPasses } from '../graph/passes/pass.ts';
import { refuseBlockingNodes } from './blocking-nodes.ts';
import { targetsOf } from './gradient-graph.ts';
import { GRADIENT_FORM, valuesOf } from './prepare.ts';
import { findBlockingNodes } from './sweep.ts';

/**
 * Refuses weights whose gradients cannot be computed, as far as the graph alone tells: shapes and kinds of loss are left for later. Runs and writes nothing.
 * @param model as read from its file
 * @param weights names of the model's inventory
 * @throws EmpError unsupported_model naming every node between the weights and the output that has no gradient rule, or every weight inside a loop or
 * branch; what the passes throw
 */
export function checkDifferentiable(model: OnnxModel, weights: readonly string[]): void {
  const own = new OnnxModel(clone(ModelProtoSchema, model.proto));
  const { proto } = own;
  const names = nameStoredTensors(own);
  runPasses(proto, [inlineFunctions, ...GRADIENT_FORM], { widenedInputs: [] });
  const prepared = new OnnxModel(proto);
  const { graph } = prepared;
  const targets = targetsOf(weights, valuesOf(prepared, names));
  // What is not declared onnxruntime finds out; of a model that says nothing the first output is taken.
  const outputs = modelOutputs(own).map(({ name, dtype }) => ({ name, dtype: dtype ?? 'float32' }));
  const blocking = findBlockingNodes(graph, [chooseOutput(outputs)], [...targets.values()]);
  if (blocking.length > 0) refuseBlockingNodes(blocking, graph, targets);
}
