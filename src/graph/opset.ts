import type { ModelProto } from '../formats/onnx/onnx-schema.ts';
import { isStandard } from './proto-walk.ts';

/** The newest version that onnxruntime 1.30 takes. */
const NEWEST = 26;

/**
 * The version of a model's standard operators. A model that imports other domains alone is run by onnxruntime as one of the newest version. One that imports nothing is
 * of version 1, from before there were imports (onnx/onnx, docs/IR.md); onnxruntime opens none of these.
 */
export function standardOpset({ opsetImport }: Pick<ModelProto, 'opsetImport'>): number {
  const own = opsetImport.findLast(isStandard);
  return own ? Number(own.version) : opsetImport.length > 0 ? NEWEST : 1;
}
