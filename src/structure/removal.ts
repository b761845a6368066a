import { create } from '@bufbuild/protobuf';
import type { KeptPositions } from '../formats/gather.ts';
import {
  type TensorProto,
  TensorShapeProto_DimensionSchema,
  type ValueInfoProto,
} from '../formats/onnx/onnx-schema.ts';
import { foldIntegers } from '../graph/passes/fold-integers.ts';
import { removeDeadCode } from '../graph/passes/remove-dead-code.ts';
import { mainGraph } from '../graph/proto-walk.ts';
import { alteredIntegers } from './altered-integers.ts';
import type { GraphAnalysis } from './analysis.ts';
import { GraphEdit } from './graph-edit.ts';

/**
 * Removes structures from the graph that was analysed: changes its proto, and returns what stays of every stored tensor that shrinks.
 * @param removed roots of the analysis's lanes
 * @param prefix of the names of what is new, which no graph around this one has either
 */
export function removeStructures(
  analysis: GraphAnalysis,
  removed: ReadonlySet<number>,
  prefix: string,
): Map<TensorProto, KeptPositions> {
  const { model, lanes, axesOf, changes, stored } = analysis;
  const graph = mainGraph(model.proto);
  const edit = new GraphEdit(graph, prefix, (axis, position) =>
    lanes.rootsAt(axis, position).some((root) => removed.has(root)),
  );
  // Integers that followed from shapes stay what they were: what has to follow the new shapes is changed below.
  foldIntegers(model.proto, { integers: alteredIntegers(analysis, (axis) => edit.shrinks(axis)) });
  for (const change of changes) change(edit);
  edit.finish();
  const kept = new Map<TensorProto, KeptPositions>();
  const inputs = new Map(graph.input.map((input) => [input.name, input]));
  for (const [name, tensor] of stored) {
    const axes = axesOf(name);
    if (!axes.some((axis) => edit.shrinks(axis))) continue;
    const positions = axes.map((axis, i) => edit.kept(axis, Number(tensor.dims[i])));
    const ofShrinking = positions.map((each, i) => (edit.shrinks(axes[i]) ? each : null));
    kept.set(tensor, ofShrinking);
    declareSizes(inputs.get(name), positions);
  }
  graph.valueInfo = []; // what it says of shapes is no longer true
  removeDeadCode(model.proto);
  return kept;
}

/** Old models list their tensors among the inputs too. */
function declareSizes(input: ValueInfoProto | undefined, positions: readonly (readonly number[])[]): void {
  const type = input?.type?.value;
  if (type?.case !== 'tensorType' || !type.value.shape) return;
  type.value.shape.dim = positions.map(({ length }) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(length) } }),
  );
}
