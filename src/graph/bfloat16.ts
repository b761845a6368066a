import { EmpError, ofInput } from '../core/errors.ts';
import { type TensorProto, TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from './onnx-model.ts';

const { BFLOAT16 } = TensorProto_DataType;
/** They move numbers without computing with them. */
const MOVES: ReadonlySet<string> = new Set([
  ...['Identity', 'Reshape', 'Transpose', 'Flatten', 'Squeeze', 'Unsqueeze'],
]);
/** They take any numbers, and give others. */
const TURNS: ReadonlySet<string> = new Set(['Cast', 'CastLike', 'Shape', 'Size']);

/**
 * Refuses a model whose main graph computes with bfloat16, before it is run. One that only stores it, and casts before it computes, runs.
 * @throws EmpError unsupported_model naming the first such node
 */
export function refuseBfloat16(model: OnnxModel): void {
  const node = computingNode(model);
  if (node === null) return;
  const reason =
    'computes in bfloat16, for which onnxruntime has no kernels on the CPU: send an export in float32 or float16';
  throw new EmpError('unsupported_model', `the model cannot be run: ${node.title} ${reason}`, [
    { path: node.label, message: reason },
    ofInput('model', `${reason}; magnitude and l2_norm need no run of it`),
  ]);
}

function computingNode({ graph }: OnnxModel): OnnxNode | null {
  const taken = 'input' in graph.proto ? graph.proto.input : [];
  const declared = taken.flatMap((input) => {
    if (typeof input === 'string' || input.type?.value.case !== 'tensorType') return [];
    return input.type.value.value.elemType === BFLOAT16 ? [graph.resolve(input.name)] : [];
  });
  const found = new Set<OnnxValue | null>(declared);
  const isStored = (value: OnnxValue | null) => {
    const tensor = value?.initializer as TensorProto | null | undefined;
    return tensor?.$typeName === 'onnx.TensorProto' && tensor.dataType === BFLOAT16;
  };
  for (const node of graph.nodes) {
    const isCast = node.is('Cast') && node.integer('to', 0) === BFLOAT16;
    const isConstant = node.is('Constant') && node.attribute('value')?.t?.dataType === BFLOAT16;
    const isRead = node.inputs.some((value) => found.has(value) || isStored(value));
    if (isRead && !MOVES.has(node.op) && !TURNS.has(node.op)) return node;
    const isMoved = isRead && MOVES.has(node.op);
    if (isCast || isConstant || isMoved) for (const output of node.outputs) if (output) found.add(output);
  }
  return null;
}
