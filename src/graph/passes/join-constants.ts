import type { KeptPositions } from '../../formats/gather.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { allGraphs } from '../proto-walk.ts';

/** Whether what a node's input reads, a stored tensor, is to get numbers of its own. */
export type EditedInputs = (node: NodeProto, input: number, tensor: TensorProto) => boolean;

/** Copies of constants, and what is left of tensors. */
export interface JoinedConstants {
  /** What copies were made of, by the copies' names, as `separateConstants` noted it. */
  readonly copies: ReadonlyMap<string, string>;
  readonly kept: ReadonlyMap<TensorProto, KeptPositions>;
  readonly isEdited: EditedInputs;
}

/**
 * Makes one again of the copies of a constant of which the same is kept, in every graph, but for those that are to be edited. Requires that tensors differ from what they are copies of by their names and by
 * what is kept of them alone. Ensures that no graph stores the same twice on their account, as long as nothing is edited.
 */
export function joinConstants(model: ModelProto, { copies, kept, isEdited }: JoinedConstants): void {
  for (const graph of allGraphs(model)) {
    const edited = readToBeEdited(graph, isEdited);
    const first = new Map<string, string>();
    const joined = new Map<string, string>();
    for (const tensor of graph.initializer) {
      const { name } = tensor;
      if (edited.has(name)) continue;
      const left = JSON.stringify([copies.get(name) ?? name, kept.get(tensor) ?? []]);
      const known = first.get(left);
      if (known === undefined) first.set(left, name);
      else joined.set(name, known);
    }
    graph.initializer = graph.initializer.filter(({ name }) => !joined.has(name));
    for (const node of graph.node) node.input = node.input.map((name) => joined.get(name) ?? name);
  }
}

/** Names of the stored tensors that are to be edited. */
function readToBeEdited({ initializer, node }: GraphProto, isEdited: EditedInputs): Set<string> {
  const tensors = new Map(initializer.map((tensor) => [tensor.name, tensor]));
  return new Set(
    node.flatMap((reader) =>
      reader.input.filter((name, input) => {
        const tensor = tensors.get(name);
        return tensor !== undefined && isEdited(reader, input, tensor);
      }),
    ),
  );
}
