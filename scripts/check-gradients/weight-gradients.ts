import { clone, create } from '@bufbuild/protobuf';
import { refuseBlockingNodes } from '../../src/autodiff/blocking-nodes.ts';
import { targetsOf } from '../../src/autodiff/gradient-graph.ts';
import { GRADIENT_SESSION } from '../../src/autodiff/gradient-setup.ts';
import { type PreparedModel, writePrepared } from '../../src/autodiff/prepare.ts';
import { differentiate } from '../../src/autodiff/sweep.ts';
import type { Fetched } from '../../src/formats/numbers.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../src/graph/graph-builder.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { freePrefix } from '../../src/graph/proto-walk.ts';
import type { ValueFacts } from '../../src/graph/value-facts.ts';
import { type Feeds, openSession, type RuntimeSettings } from '../../src/runtime/session.ts';

/** A weight, its gradient 0 where the product finds that the scalar does not depend on it. */
export interface WeightGradient {
  readonly weight: string;
  /** Its value in the prepared model's graph. */
  readonly value: string;
  readonly shape: readonly number[];
  readonly numbers: Float32Array;
  readonly gradient: Float32Array;
}

export interface Gradients {
  readonly weights: readonly WeightGradient[];
  /** What the scalar is made of. */
  readonly values: ReadonlyMap<string, Fetched>;
}

/**
 * The gradients of the scalar `sum factor * value` over the elements of all values in `factors`, made and run as the product does.
 * @throws EmpError unsupported_model naming every node that has no gradient rule
 */
export async function computeGradients(
  prepared: PreparedModel,
  facts: ValueFacts,
  weights: readonly string[],
  factors: ReadonlyMap<string, Fetched>,
  feeds: Feeds,
  runtime: RuntimeSettings,
): Promise<Gradients> {
  const proto = clone(ModelProtoSchema, prepared.proto);
  const targets = targetsOf(weights, prepared.weights);
  const { seeds, outputs } = appendGradients(proto, facts, prepared.opset, factors, targets);
  const path = await writePrepared(prepared, proto, 'gradients');
  await using session = await openSession(path, runtime, GRADIENT_SESSION);
  const seedFeeds = [...factors].map(([value, fed]): [string, Fetched] => [seeds.get(value) ?? '', fed]);
  const results = await session.run(new Map([...feeds, ...seedFeeds]), [
    ...outputNames(outputs),
    ...factors.keys(),
  ]);
  const values = new Map([...results].filter(([name]) => factors.has(name)));
  const found = [...outputs].map(([weight, names]): WeightGradient => {
    const { shape, data: numbers } = float32(results.get(names.numbers));
    const value = targets.get(weight) ?? '';
    if (names.gradient === null)
      return { weight, value, shape, numbers, gradient: new Float32Array(numbers.length) };
    const { shape: gradientShape, data: gradient } = float32(results.get(names.gradient));
    if (gradientShape.join() !== shape.join())
      throw new TypeError(`${weight} is [${shape}], its gradient [${gradientShape}]`);
    return { weight, value, shape, numbers, gradient };
  });
  return { weights: found, values };
}

interface WeightOutputs {
  readonly numbers: string;
  readonly gradient: string | null;
}

/** Makes the scalar's values, the weights and their gradients the only outputs. */
function appendGradients(
  proto: ModelProto,
  facts: ValueFacts,
  opset: number,
  factors: ReadonlyMap<string, Fetched>,
  targets: ReadonlyMap<string, string>,
) {
  const { graph } = new OnnxModel(proto);
  const own = proto.graph;
  if (own === undefined) throw new TypeError('a model without a graph');
  const builder = new GraphBuilder(own, freePrefix(own, 'gradient'), opset);
  const seeds = new Map([...factors.keys()].map((value) => [value, builder.fresh('seed')]));
  own.input.push(...[...seeds.values()].map(declareFloat));
  const found = differentiate(graph, builder, facts, seeds, [...targets.values()]);
  if ('blocking' in found) refuseBlockingNodes(found.blocking, graph, targets);
  const outputs = new Map<string, WeightOutputs>();
  for (const [weight, target] of targets) {
    const gradient = found.gradients.get(target) ?? null;
    const numbers = builder.op('Identity', [target]);
    outputs.set(weight, { numbers, gradient: gradient && builder.op('Identity', [gradient]) });
  }
  own.output = [...outputNames(outputs), ...factors.keys()].map(declareFloat);
  return { seeds, outputs };
}

function outputNames(outputs: ReadonlyMap<string, WeightOutputs>): string[] {
  const names = [...outputs.values()].flatMap(({ numbers, gradient }) => [numbers, gradient]);
  return names.filter((name) => name !== null);
}

function declareFloat(name: string): ValueInfoProto {
  const elemType = TensorProto_DataType.FLOAT;
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType } } });
  return create(ValueInfoProtoSchema, { name, type });
}

function float32(fetched: Fetched | undefined): {
  readonly shape: readonly number[];
  readonly data: Float32Array;
} {
  if (fetched?.data instanceof Float32Array) return { shape: fetched.shape, data: fetched.data };
  throw new TypeError('weights and gradients are float32');
}
