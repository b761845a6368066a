import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';

/**
 * One edit of a model, in place. Its docstring says what it requires of the model, what it ensures, and what it throws; what it learns on the way goes into the context.
 * After onnx/ir-py, `src/onnx_ir/passes`.
 */
export type GraphPass<Context = unknown> = (model: ModelProto, context: Context) => void;

/** Runs passes one after the other: each may count on what those before it ensure. */
export function runPasses<Context>(
  model: ModelProto,
  passes: readonly GraphPass<Context>[],
  context: Context,
): void {
  for (const pass of passes) pass(model, context);
}
