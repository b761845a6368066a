import type { FloatDtype } from '../../core/dtype.ts';
import { widen } from '../../core/float-format.ts';
import { setRawData } from '../../formats/onnx/load-tensor.ts';
import { type ModelProto, type TensorProto, TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import { allGraphs, heldTensors, mainGraph } from '../proto-walk.ts';
import { declareFloat32 } from './declare-float32.ts';

const { BFLOAT16, DOUBLE, FLOAT, FLOAT16 } = TensorProto_DataType;
const WIDENED: ReadonlyMap<number, FloatDtype> = new Map([
  [BFLOAT16, 'bfloat16'],
  [FLOAT16, 'float16'],
  [DOUBLE, 'float64'],
]);

/**
 * Makes a model with any bfloat16 one of float32 throughout: onnxruntime has no kernels of bfloat16 on the CPU, and shapes do not depend on the format. Leaves any other model as it is.
 * Requires that tensors hold their numbers. Ensures that sizes and integers come out as before, as far as they are not computed of floats.
 */
export function widenBfloat16(model: ModelProto): void {
  if (!hasBfloat16(model)) return;
  for (const { tensor } of heldTensors(model)) {
    const dtype = WIDENED.get(tensor.dataType);
    if (dtype !== undefined) widenTensor(tensor, dtype);
  }
  declareFloat32(model, { widenedInputs: [] });
}

function hasBfloat16(model: ModelProto): boolean {
  const isStored = [...heldTensors(model)].some(({ tensor }) => tensor.dataType === BFLOAT16);
  const isTaken = mainGraph(model).input.some(
    ({ type }) => type?.value.case === 'tensorType' && type.value.value.elemType === BFLOAT16,
  );
  const nodes = [...allGraphs(model), ...model.functions].flatMap(({ node }) => node);
  const isMade = nodes.some(({ attribute }) =>
    attribute.some(({ name, i }) => name === 'to' && Number(i) === BFLOAT16),
  );
  return isStored || isTaken || isMade;
}

function widenTensor(tensor: TensorProto, dtype: FloatDtype): void {
  const { rawData, int32Data, doubleData } = tensor;
  const held = dtype === 'float64' ? Float64Array.from(doubleData) : Uint16Array.from(int32Data);
  const bytes = rawData.byteLength > 0 ? rawData : new Uint8Array(held.buffer);
  const numbers = new Float64Array(bytes.byteLength / (dtype === 'float64' ? 8 : 2));
  widen(bytes, dtype, numbers);
  tensor.dataType = FLOAT;
  setRawData(tensor, new Uint8Array(Float32Array.from(numbers).buffer));
}
