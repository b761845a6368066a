import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { allGraphs } from '../proto-walk.ts';

const EXPERTS: ReadonlySet<string> = new Set(['MoE', 'QMoE']);

/**
 * Passes what goes into onnxruntime's mixtures of experts on as what comes out, which has the same shape and type: the CPU has kernels for some of their forms only.
 * Requires no functions. Ensures that the model's values have the shapes and types that they had.
 */
export function skipExperts(model: ModelProto): void {
  for (const node of allGraphs(model).flatMap((graph) => graph.node)) {
    if (node.domain !== 'com.microsoft' || !EXPERTS.has(node.opType)) continue;
    Object.assign(node, { opType: 'Identity', domain: '', input: node.input.slice(0, 1), attribute: [] });
  }
}
