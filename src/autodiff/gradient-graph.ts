import { clone } from '@bufbuild/protobuf';
import { EmpError } from '../core/errors.ts';
import { type ModelProto, ModelProtoSchema, TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../graph/graph-builder.ts';
import type { Labels } from '../graph/label-layout.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { appendLoss, type LossHead } from '../graph/passes/append-loss.ts';
import { freePrefix, mainGraph } from '../graph/proto-walk.ts';
import type { ValueFacts } from '../graph/value-facts.ts';
import { refuseBlockingNodes } from './blocking-nodes.ts';
import type { PreparedModel } from './prepare.ts';
import { differentiate } from './sweep.ts';

/** A model that computes the gradients of its loss. */
export interface GradientGraph {
  readonly proto: ModelProto;
  readonly loss: LossHead;
  /** Of the summed loss: a graph output of the weight's shape, by weight; null where the loss does not depend on it. */
  readonly gradients: ReadonlyMap<string, string | null>;
}

/** The gradient graph and what the second sweep over it gives. */
export interface CurvatureGraph {
  readonly proto: ModelProto;
  /** Graph inputs that take the vector's part for a weight, in the weight's shape, by weight. */
  readonly vectors: ReadonlyMap<string, string>;
  /** Graph output, float64 of rank 0: `v' H v` of the summed loss. Null where no gradient depends on a weight. */
  readonly curvature: string | null;
}

/**
 * A prepared model with the loss of `output`, and the gradients of `weights`, as its only outputs.
 * @param facts of the prepared model's values
 * @param weights names of the model's inventory
 * @param sampleAxis of the output, as `appendLoss` takes it
 * @throws EmpError unsupported_model naming every node that has no gradient rule, or every weight that no gradient reaches; what `appendLoss` throws
 */
export function createGradientGraph(
  prepared: PreparedModel,
  facts: ValueFacts,
  output: string,
  labels: Labels,
  weights: readonly string[],
  sampleAxis: number | null = 0,
): GradientGraph {
  const targets = targetsOf(weights, prepared.weights);
  const proto = clone(ModelProtoSchema, prepared.proto);
  const { graph } = new OnnxModel(proto);
  const own = mainGraph(proto);
  own.output = [];
  const builder = new GraphBuilder(own, freePrefix(own, 'gradient'), prepared.opset);
  const loss = appendLoss(graph, builder, facts, output, labels, sampleAxis);
  const found = differentiate(graph, builder, facts, loss.seeds, [...targets.values()]);
  if ('blocking' in found) refuseBlockingNodes(found.blocking, graph, targets);
  const gradients = new Map<string, string | null>();
  for (const [weight, target] of targets) {
    const gradient = found.gradients.get(target) ?? null;
    // Weights that are added to each other have one gradient, and outputs are two.
    gradients.set(
      weight,
      gradient && builder.output(builder.op('Identity', [gradient]), TensorProto_DataType.FLOAT),
    );
  }
  return { proto, loss, gradients };
}

/**
 * Appends to a gradient graph the second sweep: the gradients of `sum <gradient, vector>` are `H v`, since the Hessian H is symmetric. The outputs become
 * the count of the loss and `v' H v`.
 * @param facts of the gradient graph's values
 * @throws EmpError unsupported_model naming every node that has no gradient rule
 */
export function createCurvatureGraph(
  prepared: PreparedModel,
  { proto: gradientProto, loss, gradients }: GradientGraph,
  facts: ValueFacts,
): CurvatureGraph {
  const reached = [...gradients].filter((entry): entry is [string, string] => entry[1] !== null);
  const targets = targetsOf(
    reached.map(([weight]) => weight),
    prepared.weights,
  );
  const proto = clone(ModelProtoSchema, gradientProto);
  const { graph } = new OnnxModel(proto);
  const own = mainGraph(proto);
  own.output = own.output.filter(({ name }) => name === loss.count);
  const builder = new GraphBuilder(own, freePrefix(own, 'curvature'), prepared.opset);
  const vectors = new Map(
    reached.map(([weight]) => [weight, builder.input('vector', TensorProto_DataType.FLOAT)]),
  );
  const seeds = new Map<string, string>();
  for (const [weight, gradient] of reached) seeds.set(gradient, vectors.get(weight) ?? '');
  const found = differentiate(graph, builder, facts, seeds, [...targets.values()]);
  if ('blocking' in found) refuseBlockingNodes(found.blocking, graph, targets);
  const products = reached.flatMap(([weight]) => {
    const product = found.gradients.get(targets.get(weight) ?? '') ?? null;
    if (product === null) return [];
    const terms = builder.op('Mul', [product, vectors.get(weight) ?? '']);
    const wide = builder.op('Cast', [terms], { to: TensorProto_DataType.DOUBLE });
    return [builder.op('ReduceSum', [wide], { keepdims: 0 })];
  });
  const total = products.length > 1 ? builder.op('Sum', products) : (products[0] ?? null);
  return { proto, vectors, curvature: total && builder.output(total, TensorProto_DataType.DOUBLE) };
}

/**
 * The values of the weights in the main graph, out of `values` by the names of the model's inventory.
 * @throws EmpError unsupported_model naming the weights that have none
 */
export function targetsOf(
  weights: readonly string[],
  values: ReadonlyMap<string, string>,
): Map<string, string> {
  const findings = weights
    .filter((weight) => !values.has(weight))
    .map((path) => ({
      path,
      message:
        'lies in a loop or a branch, where gradients do not reach it; exclude it or use criterion magnitude',
    }));
  if (findings.length > 0) {
    const [{ path, message }] = findings;
    const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : '';
    throw new EmpError('unsupported_model', `${path} ${message}${more}`, findings);
  }
  return new Map(weights.map((weight) => [weight, values.get(weight) ?? '']));
}
