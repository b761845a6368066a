import { create } from '@bufbuild/protobuf';
import { isWeightDtype } from '../../core/dtype.ts';
import { elementCount } from '../../formats/model.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../../formats/onnx/onnx-schema.ts';
import { dtypeOf, elementBits, parseShape } from '../../formats/onnx/tensor-data.ts';
import { GraphBuilder } from '../graph-builder.ts';
import { createNode, createTensor } from '../messages.ts';
import { standardOpset } from '../opset.ts';
import { freePrefix, mainGraph } from '../proto-walk.ts';

/** Fewer numbers may be what sizes are computed of: scales, strides, anchors. */
const MAX_KEPT_ELEMENTS = 64;
/** ConstantOfShape is there since. */
export const MAKES_ZEROS_SINCE = 9;

/**
 * Puts nodes that make zeros in the place of stored floats and bytes of more than 64 elements, in the main graph and in those inside it. Requires that constants are initializers
 * and no inputs. Ensures that the model is small, and that its values have the shapes and types that they had; a tensor that hides an outer value of its name stays, which the output of
 * a node may not do. Does nothing before opset 9, which has no such node.
 * @returns values of the main graph that may have other numbers: what was stored, and the outputs of nodes with such inside
 */
export function zeroWeights(model: ModelProto): string[] {
  const opset = standardOpset(model);
  if (opset < MAKES_ZEROS_SINCE) return [];
  const graph = mainGraph(model);
  const added = create(GraphProtoSchema);
  const builder = new GraphBuilder(added, freePrefix(graph, 'zero'), opset);
  const zero = (holder: GraphProto, outer: readonly ReadonlySet<string>[]): string[] => {
    const isHiding = (name: string) => outer.some((names) => names.has(name));
    const last = [...new Map(holder.initializer.map((tensor) => [tensor.name, tensor])).values()];
    const { weights = [], others = [] } = Object.groupBy(last, (tensor) =>
      isWeight(tensor) && !isHiding(tensor.name) ? 'weights' : 'others',
    );
    holder.initializer = others;
    const nodes = weights.map((tensor) =>
      createZeros(tensor, builder.integers(parseShape(tensor.dims, tensor.name))),
    );
    holder.node = [...nodes, ...holder.node];
    return weights.map(({ name }) => name);
  };
  const zeroInside = (holder: NodeProto, outer: readonly ReadonlySet<string>[]): number => {
    let count = 0;
    for (const { g, graphs } of holder.attribute) {
      for (const inner of g === undefined ? graphs : [g, ...graphs]) {
        const visible = [...outer, namesGiven(inner)];
        for (const node of inner.node) count += zeroInside(node, visible);
        count += zero(inner, outer).length;
      }
    }
    return count;
  };
  const given = [namesGiven(graph)];
  const clouded = graph.node.flatMap((node) => (zeroInside(node, given) > 0 ? node.output : []));
  const zeroed = zero(graph, []);
  graph.initializer = [...graph.initializer, ...added.initializer];
  return [...zeroed, ...clouded];
}

function namesGiven({ input, initializer, sparseInitializer, node }: GraphProto): Set<string> {
  const sparse = sparseInitializer.flatMap(({ values }) => values ?? []);
  const named = [...input, ...initializer, ...sparse].map(({ name }) => name);
  return new Set([...named, ...node.flatMap(({ output }) => output)]);
}

function isWeight(tensor: TensorProto): boolean {
  const isLarge = elementCount(parseShape(tensor.dims, tensor.name)) > MAX_KEPT_ELEMENTS;
  return isLarge && isWeightDtype(dtypeOf(tensor));
}

/** Makes zeros of the tensor's name, type and shape, where `shape` is the name of its shape. */
function createZeros(tensor: TensorProto, shape: string): NodeProto {
  const { name, dataType } = tensor;
  const rawData = new Uint8Array((elementBits(tensor) ?? 0) / 8);
  const value = { tensor: createTensor('', dataType, [1], rawData) };
  return createNode('ConstantOfShape', [shape], [name], { value });
}
