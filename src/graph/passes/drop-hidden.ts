import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { allGraphs, innerGraphs } from '../proto-walk.ts';

/**
 * Removes what a graph stores and nothing can read: initializers without a name, and those behind which another of the same name comes, which counts in onnxruntime; a sparse one comes
 * behind all others. Requires nothing. Ensures that the initializers of a graph have names of their own.
 */
export function dropHidden(model: ModelProto): void {
  const inFunctions = model.functions.flatMap(({ node }) => [...innerGraphs(node)]);
  for (const graph of [...allGraphs(model), ...inFunctions]) {
    const { initializer, sparseInitializer } = graph;
    const sparse = lastOf(sparseInitializer, ({ values }) => values?.name ?? '');
    const dense = lastOf(initializer, ({ name }) => name);
    for (const name of sparse.keys()) dense.delete(name);
    if (dense.size < initializer.length) graph.initializer = [...dense.values()];
    if (sparse.size < sparseInitializer.length) graph.sparseInitializer = [...sparse.values()];
  }
}

/** The last of each name, in the order of the first. */
function lastOf<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T> {
  const last = new Map(items.map((item) => [nameOf(item), item]));
  last.delete('');
  return last;
}
