import type { KeptPositions } from '../../formats/gather.ts';
import type { ModelProto, TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { allGraphs } from '../proto-walk.ts';

/** Copies of constants, and what is left of tensors. */
export interface JoinedConstants {
  /** What copies were made of, by the copies' names, as `separateConstants` noted it. */
  readonly copies: ReadonlyMap<string, string>;
  readonly kept: ReadonlyMap<TensorProto, KeptPositions>;
}

/**
 * Makes one again of the copies of a constant of which the same is kept, in every graph. Requires that tensors differ from what they are copies of by their names and by
 * what is kept of them alone. Ensures that no graph stores the same twice on their account.
 */
export function joinConstants(model: ModelProto, { copies, kept }: JoinedConstants): void {
  for (const graph of allGraphs(model)) {
    const first = new Map<string, string>();
    const joined = new Map<string, string>();
    for (const tensor of graph.initializer) {
      const { name } = tensor;
      const left = JSON.stringify([copies.get(name) ?? name, kept.get(tensor) ?? []]);
      const known = first.get(left);
      if (known === undefined) first.set(left, name);
      else joined.set(name, known);
    }
    graph.initializer = graph.initializer.filter(({ name }) => !joined.has(name));
    for (const node of graph.node) node.input = node.input.map((name) => joined.get(name) ?? name);
  }
}
