import { EmpError } from '../../core/errors.ts';
import { TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import { IGNORED_LABEL } from '../../formats/sample-set.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { chooseLoss, type Labels, type LossKind, shapeBySample } from '../label-layout.ts';
import { finalNode } from '../measured-output.ts';
import type { OnnxGraph, OnnxNode } from '../onnx-model.ts';
import type { ValueFacts } from '../value-facts.ts';

const { DOUBLE, FLOAT, INT64 } = TensorProto_DataType;

/** A loss appended to a graph, summed over what counts, so that the sums of batches add up. */
export interface LossHead {
  readonly kind: LossKind;
  /** The graph input that takes the labels, in the shape that they were given in. */
  readonly labelsInput: string;
  readonly labelsDtype: 'int64' | 'float32';
  /** Graph output, float64 of rank 0: the sum. */
  readonly loss: string;
  /** Graph output, float64 of rank 0: how many positions count; elements where the loss is of numbers, not classes. */
  readonly count: string;
  /** Gradients of the sum by the value whose gradient they are, of its shape and 0 where nothing counts. */
  readonly seeds: ReadonlyMap<string, string>;
}

/**
 * Appends the loss of an output, `chooseLoss` says which. Of class ids, -100 marks positions that do not count, and the output holds logits, or probabilities where
 * the model ends in Softmax. What Sigmoid and Softmax read is taken for logits, so that nothing overflows. Requires float32 numbers of opset 13 or later, and labels that
 * `checkLabels` lets through, in the order of samples: `sampleAxis` of the output counts them, null where it is of one and has no such axis. Ensures one input and two outputs more, and seeds to differentiate from; no value that was there changes.
 * @throws EmpError samples_mismatch where labels and output do not go together, unsupported_model
 */
export function appendLoss(
  graph: OnnxGraph,
  builder: GraphBuilder,
  facts: ValueFacts,
  output: string,
  labels: Labels,
  sampleAxis: number | null = 0,
): LossHead {
  const found = facts.shapeOf(output);
  if (found === null) throw unsupported(output, 'has no known rank');
  const shape = shapeBySample(found, sampleAxis);
  const order = orderBySample(builder, output, found.length, sampleAxis ?? 0);
  const final = finalNode(graph.resolve(output));
  const kind = chooseLoss({ name: output, shape, finalOp: final?.op ?? null }, labels);
  const dims = labels.shape.map(() => null);
  if (kind === 'cross_entropy') {
    const classes = shape[shape.length - 1];
    if (typeof classes !== 'number') throw unsupported(output, 'has a last axis of no fixed size');
    const logits = final?.op === 'Softmax' ? logitsOf(final, facts, output, classes) : output;
    const labelsInput = builder.input('labels', INT64, dims);
    return {
      kind,
      labelsInput,
      labelsDtype: 'int64',
      ...crossEntropy(builder, order, logits, classes, labelsInput),
    };
  }
  const labelsInput = builder.input('labels', FLOAT, dims);
  const sums =
    kind === 'binary_cross_entropy' && final !== null
      ? binaryCrossEntropy(builder, order, inputOf(final), labelsInput)
      : squaredError(builder, order, output, labelsInput);
  return { kind, labelsInput, labelsDtype: 'float32', ...sums };
}

type LossSums = Pick<LossHead, 'loss' | 'count' | 'seeds'>;

/** `log sum exp z - z[label]`, gradient `softmax z - onehot`. */
function crossEntropy(
  b: GraphBuilder,
  order: SampleOrder,
  logits: string,
  classes: number,
  labelsInput: string,
): LossSums {
  const rows = b.op('Reshape', [order.sorted(logits), b.integers([-1, classes])]);
  const ids = b.op('Reshape', [labelsInput, b.integers([-1, 1])]);
  const ignored = b.op('Equal', [ids, b.integer(IGNORED_LABEL)]);
  const label = b.op('Where', [ignored, b.integer(0), ids]);
  const logs = b.op('LogSoftmax', [rows], { axis: -1 });
  const terms = b.op('Neg', [b.op('GatherElements', [logs, label], { axis: 1 })]);
  const flatLabel = b.op('Reshape', [label, b.integers([-1])]);
  const oneHot = b.op('OneHot', [flatLabel, b.integer(classes), b.floats([0, 1], [2])]);
  const difference = b.op('Sub', [b.op('Softmax', [rows], { axis: -1 }), oneHot]);
  return whereCounted(b, order, logits, ignored, terms, difference);
}

/** `max(z, 0) - z t + log(1 + exp(-|z|))`, gradient `sigmoid z - t`. */
function binaryCrossEntropy(
  b: GraphBuilder,
  order: SampleOrder,
  logits: string,
  labelsInput: string,
): LossSums {
  const z = b.op('Reshape', [order.sorted(logits), b.integers([-1])]);
  const labels = b.op('Reshape', [labelsInput, b.integers([-1])]);
  const ignored = b.op('Equal', [labels, b.scalar(IGNORED_LABEL)]);
  const t = b.op('Where', [ignored, b.scalar(0), labels]);
  const linear = b.op('Sub', [b.op('Relu', [z]), b.op('Mul', [z, t])]);
  const terms = b.op('Add', [linear, b.op('Softplus', [b.op('Neg', [b.op('Abs', [z])])])]);
  const difference = b.op('Sub', [b.op('Sigmoid', [z]), t]);
  return whereCounted(b, order, logits, ignored, terms, difference);
}

/** The sums over positions that are not `ignored`: of the loss's terms, and of their gradients at the logits. */
function whereCounted(
  b: GraphBuilder,
  order: SampleOrder,
  logits: string,
  ignored: string,
  terms: string,
  gradients: string,
): LossSums {
  return {
    loss: sum(b, b.op('Where', [ignored, b.scalar(0), terms])),
    count: sum(b, b.op('Not', [ignored])),
    seeds: seed(order, logits, b.op('Where', [ignored, b.scalar(0), gradients])),
  };
}

/** `(y - t)^2`, gradient `2 (y - t)`. */
function squaredError(b: GraphBuilder, order: SampleOrder, output: string, labelsInput: string): LossSums {
  const y = b.op('Reshape', [order.sorted(output), b.integers([-1])]);
  const difference = b.op('Sub', [y, b.op('Reshape', [labelsInput, b.integers([-1])])]);
  return {
    loss: sum(b, b.op('Mul', [difference, difference])),
    count: b.output(b.op('Cast', [b.op('Size', [output])], { to: DOUBLE }), DOUBLE, []),
    seeds: seed(order, output, b.op('Mul', [difference, b.scalar(2)])),
  };
}

/** In float64, of all elements; an output of the graph. */
function sum(b: GraphBuilder, terms: string): string {
  const total = b.op('ReduceSum', [b.op('Cast', [terms], { to: DOUBLE })], { keepdims: 0 });
  return b.output(total, DOUBLE, []);
}

function seed(order: SampleOrder, value: string, flat: string): ReadonlyMap<string, string> {
  return new Map([[value, order.unsorted(flat, value)]]);
}

/** Numbers of an output, or of what it is but in another shape, sample by sample as labels are. */
interface SampleOrder {
  /** A value's numbers in that order. */
  sorted(value: string): string;
  /** Flat numbers in that order as they lie in a value. */
  unsorted(flat: string, value: string): string;
}

function orderBySample(b: GraphBuilder, output: string, rank: number, axis: number): SampleOrder {
  const like = (flat: string, value: string) => b.op('Reshape', [flat, b.op('Shape', [value])]);
  if (axis === 0) return { sorted: (value) => value, unsorted: like };
  const others = Array.from({ length: rank }, (_, place) => place).toSpliced(axis, 1);
  const perm = [axis, ...others];
  const inverse = perm.map((_, place) => perm.indexOf(place));
  const sorted = (value: string) => b.op('Transpose', [like(value, output)], { perm });
  return {
    sorted,
    unsorted: (flat, value) => like(b.op('Transpose', [like(flat, sorted(value))], { perm: inverse }), value),
  };
}

/** What a Softmax reads, where it is over the classes. */
function logitsOf(softmax: OnnxNode, facts: ValueFacts, output: string, classes: number): string {
  const logits = inputOf(softmax);
  const shape = facts.shapeOf(logits);
  const axis = softmax.integer('axis', -1);
  if (shape !== null && shape.at(-1) === classes && (axis === -1 || axis === shape.length - 1)) return logits;
  throw unsupported(output, `holds probabilities of ${softmax.label}, a Softmax over another axis`);
}

function inputOf(node: OnnxNode): string {
  const [value] = node.inputs;
  if (!value) throw new TypeError(`${node.label} without input`);
  return value.name;
}

function unsupported(output: string, reason: string): EmpError {
  return new EmpError(
    'unsupported_model',
    `the loss cannot be differentiated: output '${output}' ${reason}; score with magnitude, or try wanda or activation`,
    [{ path: output, message: reason }],
  );
}
