import type { TensorProto } from '../../formats/onnx/onnx-schema.ts';
import type { OnnxValue } from '../onnx-model.ts';

/** The dense tensor that a value is stored as; null for any other. */
export function storedOf({ initializer, producer }: OnnxValue): TensorProto | null {
  if (initializer !== null) return initializer.$typeName === 'onnx.TensorProto' ? initializer : null;
  return producer?.is('Constant') ? (producer.attribute('value')?.t ?? null) : null;
}
