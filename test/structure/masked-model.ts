import { create, toBinary } from '@bufbuild/protobuf';
import { elementCount } from '../../src/formats/model.ts';
import { byteWidth } from '../../src/formats/numbers.ts';
import {
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../../src/formats/onnx/tensor-data.ts';
import type { OnnxGraph, OnnxValue } from '../../src/graph/onnx-model.ts';
import type { GraphAnalysis } from '../../src/structure/analysis.ts';
import type { LaneAxis } from '../../src/structure/lanes.ts';
import type { AnalysedModel } from './analysed-model.ts';

const MASKS: Readonly<Record<string, (factors: readonly number[]) => [number, ArrayBuffer]>> = {
  float16: (factors) => [TensorProto_DataType.FLOAT16, Float16Array.from(factors).buffer],
  float32: (factors) => [TensorProto_DataType.FLOAT, Float32Array.from(factors).buffer],
  float64: (factors) => [TensorProto_DataType.DOUBLE, Float64Array.from(factors).buffer],
  bool: (factors) => [TensorProto_DataType.BOOL, Uint8Array.from(factors).buffer],
};

/** Where operators get the zero point of their first input. */
const ZERO_POINTS: Readonly<Record<string, number>> = {
  QLinearConv: 2,
  QLinearMatMul: 2,
  QGemm: 2,
  ConvInteger: 2,
  MatMulInteger: 2,
  MatMulIntegerToFloat: 4,
};

/** Whether a position of an axis goes. */
export function isGone(
  { lanes }: GraphAnalysis,
  removed: ReadonlySet<number>,
  axis: LaneAxis,
  position: number,
): boolean {
  return lanes.rootsAt(axis, position).some((root) => removed.has(root));
}

/**
 * The dense model with a factor of 0 where something that is to be removed is summed over, and of 1 elsewhere.
 * @param prefix of the masks' names
 */
export function maskedModel(
  { proto, trace, analysis }: AnalysedModel,
  removed: ReadonlySet<number>,
  prefix = 'mask',
): Uint8Array {
  const graph = proto.graph;
  if (!graph) throw new TypeError('no graph');
  const before = new Map<NodeProto, NodeProto[]>();
  for (const [count, { node, input, axis }] of analysis.contractions.entries()) {
    const name = node.inputs[input]?.name ?? '';
    const axes = analysis.axesOf(name);
    const own = axes[axis] ?? null;
    if (own === null) continue;
    const factors = Array.from(own[0], (_, position) => Number(!isGone(analysis, removed, own, position)));
    if (!factors.includes(0)) continue;
    const mask = `${prefix}_${count}`;
    const dtype = trace.dtypeOf(name) ?? '';
    const isQuantized = /int/.test(dtype);
    const [dataType, numbers] = MASKS[isQuantized ? 'bool' : dtype](factors);
    const dims = axes.slice(axis).map((_, i) => BigInt(i === 0 ? factors.length : 1));
    graph.initializer.push(
      create(TensorProtoSchema, { name: mask, dataType, dims, rawData: new Uint8Array(numbers) }),
    );
    const read = node.proto.input[input];
    const masked = create(NodeProtoSchema, {
      opType: isQuantized ? 'Where' : 'Mul',
      // Of quantized numbers the zero point stands for zero.
      input: isQuantized ? [mask, read, node.proto.input[ZERO_POINTS[node.op]]] : [read, mask],
      output: [`${mask}_out`],
    });
    before.set(node.proto, [...(before.get(node.proto) ?? []), masked]);
    node.proto.input[input] = `${mask}_out`;
  }
  graph.node = graph.node.flatMap((node) => [...(before.get(node) ?? []), node]);
  return toBinary(ModelProtoSchema, proto);
}

/** The dense model with every weight of what is to be removed set to zero; divisors are left alone, since 0 / 0 is no number. */
export function zeroedModel({ proto, analysis }: AnalysedModel, removed: ReadonlySet<number>): Uint8Array {
  const divisors = divisorsOf(analysis.model.graph);
  for (const [name, tensor] of analysis.stored) {
    if (!divisors.has(name)) zero(analysis, removed, name, tensor);
  }
  return toBinary(ModelProtoSchema, proto);
}

function zero(
  analysis: GraphAnalysis,
  removed: ReadonlySet<number>,
  name: string,
  tensor: TensorProto,
): void {
  const shape = parseShape(tensor.dims, name);
  const gone = analysis
    .axesOf(name)
    .map((axis, i) =>
      Array.from({ length: shape[i] }, (_, position) => isGone(analysis, removed, axis, position)),
    );
  if (!gone.flat().includes(true)) return;
  if (tensor.rawData.byteLength === 0) throw new TypeError(`${name} does not hold raw bytes`);
  tensor.rawData = Uint8Array.from(tensor.rawData); // copies of a message share their bytes
  const dtype = dtypeOf(tensor);
  const width = /int4/.test(dtype) ? 0.5 : byteWidth(dtype);
  for (let element = 0; element < elementCount(shape); element++) {
    let rest = element;
    let isZero = false;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      isZero ||= gone[axis][rest % shape[axis]];
      rest = Math.floor(rest / shape[axis]);
    }
    if (!isZero) continue;
    if (width < 1) tensor.rawData[element >> 1] &= element % 2 === 0 ? 0xf0 : 0x0f;
    else tensor.rawData.fill(0, element * width, (element + 1) * width);
  }
}

/** Stored values that a divisor is made of. */
function divisorsOf({ nodes }: OnnxGraph): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (value: OnnxValue | null | undefined) => {
    if (!value || found.has(value.name)) return;
    found.add(value.name);
    for (const input of value.producer?.inputs ?? []) visit(input);
  };
  const isStored = ({ initializer, producer }: OnnxValue): boolean =>
    initializer !== null || (producer?.inputs.every((input) => input === null || isStored(input)) ?? false);
  for (const { op, inputs } of nodes) {
    const divisor = op === 'Div' ? inputs[1] : op === 'Reciprocal' ? inputs[0] : null;
    if (divisor && isStored(divisor)) visit(divisor);
  }
  return found;
}
