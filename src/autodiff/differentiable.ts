import { clone } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { modelOutputs } from '../graph/interface.ts';
import { nameStoredTensors } from '../graph/onnx-inventory.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { unrollModel } from '../graph/program.ts';
import { chooseOutput } from '../runtime/measured-output.ts';
import { constantsToInitializers } from './constant-nodes.ts';
import { declareFloat32 } from './float32.ts';
import { targetsOf } from './gradient-graph.ts';
import { inlineFunctions } from './inline-functions.ts';
import { refuseObstacles } from './obstacles.ts';
import { upgradeOpset } from './opset-upgrade.ts';
import { findObstacles } from './sweep.ts';

/**
 * Refuses weights whose gradients cannot be computed, as far as the graph alone tells: shapes and kinds of loss are left for later. Runs and writes nothing.
 * @param model as read from its file
 * @param weights names of the model's inventory
 * @throws EmpError unsupported_model naming every node between the weights and the output that has no gradient rule, or every weight inside a loop or
 * branch; what `upgradeOpset` and `inlineFunctions` throw
 */
export function checkDifferentiable(model: OnnxModel, weights: readonly string[]): void {
  const own = new OnnxModel(clone(ModelProtoSchema, model.proto));
  const { proto } = own;
  const names = nameStoredTensors(own);
  unrollModel(own); // refuses functions without end
  inlineFunctions(proto);
  if (proto.graph === undefined) throw new TypeError('a model without a graph');
  constantsToInitializers(proto.graph);
  upgradeOpset(proto);
  declareFloat32(proto);
  const { graph } = new OnnxModel(proto);
  const values = proto.graph.initializer.flatMap((tensor): [string, string][] => {
    const name = names.get(tensor);
    return name === undefined ? [] : [[name, tensor.name]];
  });
  const targets = targetsOf(weights, new Map(values));
  // What is not declared onnxruntime finds out; of a model that says nothing the first output is taken.
  const outputs = modelOutputs(own).map(({ name, dtype }) => ({ name, dtype: dtype ?? 'float32' }));
  const obstacles = findObstacles(graph, [chooseOutput(outputs)], [...targets.values()]);
  if (obstacles.length > 0) refuseObstacles(obstacles, graph, targets);
}
