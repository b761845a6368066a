import { clip, MAX_TOLD_NAME } from '../../core/clip.ts';
import { EmpError } from '../../core/errors.ts';
import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { isStandard } from '../proto-walk.ts';

/**
 * Refuses functions in the domain of the standard operators: onnxruntime runs its own operator of such a name where it has one, and the function where it has none. Requires nothing.
 * Ensures that every function means what its body says.
 * @throws EmpError unsupported_model naming the function
 */
export function refuseHiddenFunctions({ functions }: ModelProto): void {
  const hidden = functions.find(isStandard);
  if (hidden === undefined) return;
  const name = clip(hidden.name, MAX_TOLD_NAME);
  const message =
    'stands in the domain of the standard operators, one of which may run in its place; give it a domain of its own';
  throw new EmpError('unsupported_model', `the model's function ${name} ${message}`, [
    { path: name, message },
  ]);
}
