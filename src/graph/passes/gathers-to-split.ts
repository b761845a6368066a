import type { ModelProto, NodeProto } from '../../formats/onnx/onnx-schema.ts';
import { dtypeOf, numbersOf } from '../../formats/onnx/tensor-data.ts';
import { createNode, integerTensor } from '../messages.ts';
import { freePrefix, isStandard, mainGraph } from '../proto-walk.ts';

/** Of fewer parts a Gather each is as good. */
const LEAST_PARTS = 4;

/** A Gather of one known position of a stored tensor. */
interface Part {
  readonly node: NodeProto;
  readonly axis: number;
  readonly index: number;
  /** Whether the axis stays, with one position. */
  readonly isKept: boolean;
}

/**
 * Makes one Split of Gathers that take a stored tensor apart, position by position: the gradient of each Gather is as large as the whole tensor. Requires opset 13 or later, no
 * functions, and constants that are initializers. Ensures that values are the same.
 */
export function gathersToSplit(model: ModelProto): void {
  const graph = mainGraph(model);
  const stored = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const partOf = (node: NodeProto): Part | null => {
    const [data, indices] = node.input.map((name) => stored.get(name));
    if (node.opType !== 'Gather' || !isStandard(node) || !data || !indices || indices.dims.length > 1)
      return null;
    const isWhole = ['int64', 'int32'].includes(dtypeOf(indices));
    const [index, ...others] = (isWhole && numbersOf(indices)) || [];
    if (index === undefined || others.length > 0) return null;
    const given = Number(node.attribute.find(({ name }) => name === 'axis')?.i ?? 0n);
    const axis = given < 0 ? given + data.dims.length : given;
    const at = index < 0 ? index + Number(data.dims[axis]) : index;
    return { node, axis, index: at, isKept: indices.dims.length === 1 };
  };
  const parts = graph.node.flatMap((node) => partOf(node) ?? []);
  const prefix = freePrefix(graph, 'parted');
  for (const [tensor, all] of Map.groupBy(parts, ({ node }) => node.input[0])) {
    for (const [axis, own] of Map.groupBy(all, (part) => part.axis)) {
      const size = Number(stored.get(tensor)?.dims[axis] ?? 0);
      if (own.length < LEAST_PARTS || 2 * own.length < size) continue;
      const stem = `${prefix}${graph.initializer.length}`;
      const outputs = Array.from({ length: size }, (_, index) => `${stem}_${index}`);
      const [sizes, axes] = [`${stem}_sizes`, `${stem}_axes`];
      graph.initializer.push(integerTensor(sizes, Array(size).fill(1), [size]));
      graph.initializer.push(integerTensor(axes, [axis], [1]));
      for (const { node, index, isKept } of own) {
        node.opType = isKept ? 'Identity' : 'Squeeze';
        node.input = isKept ? [outputs[index]] : [outputs[index], axes];
        node.attribute = [];
      }
      const first = graph.node.indexOf(own[0].node);
      graph.node.splice(first, 0, createNode('Split', [tensor, sizes], outputs, { axis }));
    }
  }
}
