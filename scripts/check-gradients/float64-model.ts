import { clone, create } from '@bufbuild/protobuf';
import { GradientNode } from '../../src/autodiff/derivative.ts';
import type { PreparedModel } from '../../src/autodiff/prepare.ts';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../src/graph/graph-builder.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { freePrefix } from '../../src/graph/proto-walk.ts';
import type { ValueFacts } from '../../src/graph/value-facts.ts';
import { FLOAT64_FORMS } from './float64-forms.ts';

const { FLOAT, DOUBLE } = TensorProto_DataType;

/** Whether an operator takes float32 in a slot whatever it computes in: sizes, not numbers. */
export function staysFloat32(operator: string, slot: number): boolean {
  return operator === 'Resize' && slot > 0;
}

/**
 * A prepared model that computes in float64, so that steps of finite differences can be too small to meet a kink. The values of `weights` are
 * graph inputs; `outputs` are the only outputs. Operators that onnxruntime has in float32 alone are written out in others.
 * @param facts of the very run that is meant: all sizes are numbers
 */
export function createFloat64Model(
  { proto: prepared, opset }: PreparedModel,
  facts: ValueFacts,
  weights: ReadonlySet<string>,
  outputs: readonly string[],
): ModelProto {
  const proto = clone(ModelProtoSchema, prepared);
  const graph = graphOf(proto);
  const builder = new GraphBuilder(graph, freePrefix(graph, 'wide'), opset);
  for (const { type } of graph.input) {
    if (type?.value.case === 'tensorType' && type.value.value.elemType === FLOAT)
      type.value.value.elemType = DOUBLE;
  }
  graph.initializer = graph.initializer.filter(({ name }) => !weights.has(name));
  graph.input.push(...[...weights].map(declareDouble));
  graph.output = outputs.map(declareDouble);
  graph.valueInfo = [];
  const nodes = graph.node;
  graph.node = [];
  const wide = widenInitializers(graph, builder);
  const casts = graph.node;
  for (const node of nodes) {
    node.input = node.input.map((name, slot) =>
      staysFloat32(node.opType, slot) ? name : (wide.get(name) ?? name),
    );
    if (node.opType === 'Cast') widenCast(node);
    if (node.opType === 'ConstantOfShape') widenConstant(node);
  }
  graph.node = [...casts, ...nodes];
  const narrow = new Map([...wide].map(([name, wideName]) => [wideName, name]));
  writeOut(proto, builder, { ...facts, shapeOf: (name) => facts.shapeOf(narrow.get(name) ?? name) });
  return proto;
}

/** The names of float64 copies of the float32 initializers, by theirs. */
function widenInitializers({ initializer }: GraphProto, builder: GraphBuilder): Map<string, string> {
  const floats = initializer.filter(({ dataType }) => dataType === FLOAT);
  return new Map(floats.map(({ name }) => [name, builder.op('Cast', [name], { to: DOUBLE })]));
}

function widenCast(node: NodeProto): void {
  const to = node.attribute.find(({ name }) => name === 'to');
  if (Number(to?.i) !== FLOAT) return;
  node.attribute = [create(AttributeProtoSchema, { name: 'to', type: AttributeType.INT, i: BigInt(DOUBLE) })];
}

/** Of float32 zeros where it does not say of what. */
function widenConstant(node: NodeProto): void {
  const [value] = node.attribute;
  const tensor = value?.t ?? create(TensorProtoSchema, { dims: [1n], dataType: FLOAT, floatData: [0] });
  if (tensor.dataType !== FLOAT) return;
  const { rawData, floatData, dims } = tensor;
  const doubleData = [...new Float32Array(rawData.slice().buffer), ...floatData];
  const t = create(TensorProtoSchema, { dims, dataType: DOUBLE, doubleData });
  node.attribute = [create(AttributeProtoSchema, { name: 'value', type: AttributeType.TENSOR, t })];
}

/** Puts in the place of nodes what `FLOAT64_FORMS` makes of them. */
function writeOut(proto: ModelProto, builder: GraphBuilder, facts: ValueFacts): void {
  const { nodes } = new OnnxModel(proto).graph;
  const graph = graphOf(proto);
  graph.node = [];
  for (const node of nodes) {
    const form = node.domain === '' ? FLOAT64_FORMS.get(node.op) : undefined;
    if (form !== undefined) {
      const result = form(new GradientNode(node, builder, facts, [], []));
      Object.assign(node.proto, { opType: 'Identity', input: [result], attribute: [] });
    }
    graph.node.push(node.proto);
  }
}

function graphOf({ graph }: ModelProto): GraphProto {
  if (graph === undefined) throw new TypeError('a model without a graph');
  return graph;
}

function declareDouble(name: string) {
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType: DOUBLE } } });
  return create(ValueInfoProtoSchema, { name, type });
}
