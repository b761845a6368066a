import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { integerTensor } from '../messages.ts';
import { mainGraph } from '../proto-walk.ts';

/** Row-major integers that a value always is. */
export interface KnownIntegers {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/**
 * Makes initializers of the outputs of nodes that compute known integers alone. Requires that the values are those of int64 tensors, whatever the model is fed, and no outputs of
 * the model. Ensures that none of them is computed any more; what only they were made of is dead code.
 * @param context.integers by the values' names
 */
export function foldIntegers(
  model: ModelProto,
  { integers }: { readonly integers: ReadonlyMap<string, KnownIntegers> },
): void {
  const graph = mainGraph(model);
  graph.node = graph.node.filter(({ opType, output }) => {
    const isKnown = output.length > 0 && output.every((name) => integers.has(name));
    if (opType === 'Constant' || !isKnown) return true;
    for (const name of output) {
      const { shape = [], values = [] } = integers.get(name) ?? {};
      graph.initializer.push(integerTensor(name, values, shape));
    }
    return false;
  });
}
