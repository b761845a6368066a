import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { GraphBuilder } from '../autodiff/graph-builder.ts';
import { type PreparedModel, writePrepared } from '../autodiff/prepare.ts';
import type { Size, ValueFacts } from '../autodiff/rule.ts';
import { elementCount } from '../formats/model.ts';
import { OnnxModel } from '../formats/onnx/graph.ts';
import { freePrefix } from '../formats/onnx/proto-walk.ts';
import { dtypeOf, parseShape } from '../formats/onnx/tensor-data.ts';
import { sizedByContent } from './content-sizes.ts';
import { type Feeds, type ModelValue, openSession, type RuntimeSettings } from './session.ts';
import { isNumberType, toFloat64, viewNumbers } from './tensors.ts';

/** For models that run once or twice. */
const UNOPTIMIZED = { graphOptimizationLevel: 'disabled', enableMemPattern: false } as const;

/** What a model and runs of it tell of the values of its main graph. */
export interface ProbedValues extends ValueFacts {
  /** Element type (`float32`, `int64`, ...), null for what is no tensor or not known. */
  dtypeOf(name: string): string | null;
  /** Elements of all values together, by run. */
  readonly elements: readonly number[];
}

/**
 * Runs a prepared model, or what was made of it, once on each of `runs` and notes the shapes of all values: sizes that differ between runs
 * are 'varies', a value whose rank differs has no shape. Runs on 2 and on 3 samples find what follows the batch. Sizes that may depend on what is in a sample are
 * known only where onnxruntime infers them without running. Nothing is optimized and no value leaves onnxruntime, so that the cost is a forward pass each and a
 * few bytes a value.
 * @throws EmpError what `openSession` and `ModelSession.run` throw
 */
export async function probeValues(
  prepared: PreparedModel,
  proto: ModelProto,
  runs: readonly Feeds[],
  settings: RuntimeSettings,
): Promise<ProbedValues> {
  const { graph } = proto;
  if (graph === undefined) throw new TypeError('a model without a graph');
  const computed = graph.node.flatMap(({ output }) => output.filter((name) => name !== ''));
  const dtypes = new Map(graph.initializer.map((tensor) => [tensor.name, dtypeOf(tensor)]));
  const inferred = new Map<string, ModelValue['dims']>();
  {
    const path = await writePrepared(prepared, withOutputs(proto, computed.map(declare)), 'types');
    await using session = await openSession(path, settings, UNOPTIMIZED);
    for (const { name, dtype, dims } of [...session.inputs, ...session.outputs]) {
      dtypes.set(name, dtype);
      inferred.set(name, dims);
    }
  }
  const values = [...graph.input.map(({ name }) => name), ...computed].filter(
    (name) => (dtypes.get(name) ?? NO_TENSOR) !== NO_TENSOR,
  );
  const sizes = await runShapes(prepared, proto, values, runs, settings);
  const shapes = new Map(
    graph.initializer.map(({ name, dims }): [string, Size[]] => [name, parseShape(dims, name)]),
  );
  const uncertain = sizedByContent(new OnnxModel(proto).graph);
  for (const [name, found] of sizes) {
    const [first] = found;
    if (found.some(({ length }) => length !== first.length)) continue;
    shapes.set(
      name,
      uncertain.has(name)
        ? first.map((_, axis) => certainSize(inferred.get(name), first.length, axis))
        : first.map((size, axis) => (found.every((shape) => shape[axis] === size) ? size : 'varies')),
    );
  }
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  return {
    shapeOf: (name) => shapes.get(name) ?? null,
    constantOf: (name) => numbersOf(constants.get(name)),
    dtypeOf: (name) => dtypes.get(name) ?? null,
    elements: runs.map((_, run) =>
      [...sizes.values()].reduce((sum, found) => sum + elementCount(found[run]), 0),
    ),
  };
}

/** What holds for all samples, of a value whose shape onnxruntime may know in part, or not at all. */
function certainSize(dims: ModelValue['dims'] = [], rank: number, axis: number): Size {
  const size = dims.length === rank ? dims[axis] : null;
  return typeof size === 'number' ? size : null;
}

/** What `ModelSession` calls what is none. */
const NO_TENSOR = 'other';

/** The shapes of values, by name, in each of the runs. */
async function runShapes(
  prepared: PreparedModel,
  proto: ModelProto,
  values: readonly string[],
  runs: readonly Feeds[],
  settings: RuntimeSettings,
): Promise<Map<string, number[][]>> {
  const added = create(GraphProtoSchema);
  const builder = new GraphBuilder(added, freePrefix(proto.graph ?? added, 'shape'), prepared.opset);
  const shapes = values.map((name) => builder.op('Shape', [name]));
  const path = await writePrepared(prepared, withOutputs(proto, shapes.map(declare), added), 'shapes');
  await using session = await openSession(path, settings, UNOPTIMIZED);
  const found = new Map(values.map((name): [string, number[][]] => [name, []]));
  for (const feeds of runs) {
    const results = await session.run(feeds, shapes);
    for (const [index, name] of values.entries()) {
      const shape = results.get(shapes[index]);
      if (shape) found.get(name)?.push([...toFloat64(shape.data)]);
    }
  }
  return found;
}

/** The model with other outputs and more nodes, and without what its exporter says of sizes, which nobody checks; it shares what it can. */
function withOutputs(proto: ModelProto, output: ValueInfoProto[], added?: GraphProto): ModelProto {
  const own = proto.graph ?? create(GraphProtoSchema);
  const node = [...own.node, ...(added?.node ?? [])];
  const graph = create(GraphProtoSchema, { ...own, node, output, valueInfo: [] });
  return create(ModelProtoSchema, { ...proto, graph });
}

/** onnxruntime finds types and shapes itself. */
function declare(name: string): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name });
}

/** The numbers of an initializer that holds them itself, as prepared models do where there are few. */
function numbersOf(tensor: TensorProto | undefined): readonly number[] | null {
  if (tensor === undefined || tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) return null;
  const dtype = dtypeOf(tensor);
  if (!isNumberType(dtype)) return null;
  const { rawData, floatData, int32Data, int64Data, uint64Data } = tensor;
  if (rawData.byteLength > 0) return [...toFloat64(viewNumbers(rawData.slice().buffer, dtype))];
  return [...floatData, ...int32Data, ...int64Data.map(Number), ...uint64Data.map(Number)];
}
