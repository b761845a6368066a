import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { knownValues } from './known-values.ts';
import type { OnnxModel, OnnxNode } from './onnx-model.ts';

/**
 * The `MoE` nodes whose input onnxruntime 1.30 clears on the CPU before it is read: it gets that input's buffer to write to where nothing reads the value after it, of
 * float16 that of its widened copy, which nothing holds. What they give there is wrong.
 */
export function clearedInputs(model: OnnxModel): OnnxNode[] {
  const { graph } = model;
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  const values = knownValues(model.proto.graph ? [model.proto.graph] : []);
  return graph.nodes.filter((node, place) => {
    const [input] = node.inputs;
    if (node.op !== 'MoE' || node.domain !== 'com.microsoft' || !input) return false;
    const isWidened = values.typeOf(input.name) === TensorProto_DataType.FLOAT16;
    const isHeld = !isWidened && (input.producer === null || graph.gives(input));
    return !isHeld && input.uses.every((use) => (places.get(use.node) ?? Number.POSITIVE_INFINITY) <= place);
  });
}
