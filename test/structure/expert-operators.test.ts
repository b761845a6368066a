import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
} from '../../src/formats/onnx/onnx-schema.ts';
import { setIntegers } from '../../src/graph/messages.ts';
import { openSession } from '../../src/runtime/session.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { type AttributeValue, encode, node } from '../models/build-model.ts';
import { drawNumbers, drawScales, FORMATS, quantizedTensor } from '../models/quantized-numbers.ts';
import { weights } from '../models/runtime-model.ts';
import { build, MICROSOFT } from '../models/traced-model.ts';
import { type AnalysedModel, analyseTraced, traceBytes } from './analysed-model.ts';
import { random } from './cases/rule-case.ts';
import { relativeDifference } from './compare-values.ts';
import { zeroedModel } from './masked-model.ts';
import { prunedModel } from './pruned-model.ts';

/** Of the largest number of the output. */
const TOLERANCE = 1e-5;
const [EXPERTS, INPUTS, WIDTH, HIDDEN, BLOCK] = [3, 8, 64, 96, 16];

/** Inputs that hold a layer's weights, scales, biases and zero points: of what goes into experts, of what comes out, and of the second layer that goes in. */
const LAYERS = { MoE: [[2, 3], [4, 5], [6, 7]], QMoE: [[2, 3, 4, 11], [5, 6, 7, 12], [8, 9, 10, 13]] } as const; // biome-ignore format: a table
type Operator = keyof typeof LAYERS;

/** A form of mixtures that onnxruntime has no kernel of on the CPU. */
interface Form {
  readonly name: string;
  readonly op: Operator;
  readonly attributes: Record<string, AttributeValue>;
  readonly isGated: boolean;
}

const APART = { activation_type: 'swiglu', swiglu_fusion: 2, activation_alpha: { float: 1.5 } };
const FORMS: readonly Form[] = [
  { name: 'MoE, gates before values', op: 'MoE', attributes: APART, isGated: false },
  {
    name: 'MoE, values in a layer of their own',
    op: 'MoE',
    attributes: { activation_type: 'silu' },
    isGated: true,
  },
  { name: 'QMoE, gates before values', op: 'QMoE', attributes: APART, isGated: false },
  {
    name: 'QMoE, values in a layer of their own',
    op: 'QMoE',
    attributes: { activation_type: 'swiglu' },
    isGated: true,
  },
];

/** Of 4 bits in blocks with zero points, where quantized. */
function layer(op: Operator, name: string, rows: number, features: number): TensorProto[] {
  if (op === 'MoE')
    return [random(`w${name}`, [EXPERTS, rows, features]), random(`b${name}`, [EXPERTS, rows])];
  const bytes = (stem: string, dims: number[]) =>
    quantizedTensor(stem, FORMATS.uint8, dims, drawNumbers(FORMATS.uint8, dims, dims[2]));
  const blocks = features / BLOCK;
  return [
    bytes(`w${name}`, [EXPERTS, rows, features / 2]),
    weights(`s${name}`, [EXPERTS, rows, blocks], drawScales(EXPERTS * rows * blocks, rows)),
    random(`b${name}`, [EXPERTS, rows]),
    bytes(`z${name}`, [EXPERTS, rows, blocks / 2]),
  ];
}

function modelOf({ op, attributes, isGated }: Form) {
  const layers = [
    layer(op, '1', isGated ? HIDDEN : 2 * HIDDEN, WIDTH),
    layer(op, '2', WIDTH, HIDDEN),
    ...(isGated ? [layer(op, '3', HIDDEN, WIDTH)] : []),
  ];
  const inputs = ['h', 'logits'];
  for (const [i, tensors] of layers.entries())
    for (const [k, { name }] of tensors.entries()) inputs[LAYERS[op][i][k]] = name;
  return build({
    inputs: [['x', ['batch', INPUTS]]],
    nodes: [
      node('MatMul', ['x', 'stem'], ['h']),
      node('MatMul', ['h', 'gate'], ['logits']),
      node(
        op,
        Array.from(inputs, (name) => name ?? ''),
        ['mixed'],
        {
          ...{ k: 2, ...attributes },
          ...(op === 'QMoE' ? { expert_weight_bits: 4, block_size: BLOCK } : {}),
        },
        MICROSOFT,
      ),
      // onnxruntime 1.30 gives a MoE on the CPU the buffer of its input to write to, unless that is read later, and finds zeros in it.
      node('Add', ['h', 'mixed'], ['sum']),
      node('MatMul', ['sum', 'head'], ['y']),
    ],
    initializers: [
      ...[random('stem', [INPUTS, WIDTH]), random('gate', [WIDTH, EXPERTS]), random('head', [WIDTH, 5])],
      ...layers.flat(),
    ],
  });
}

/** The same mixture in the form that the CPU has a kernel of: gates and values row by row in one layer. */
function interleaved(bytes: Uint8Array, op: Operator): Uint8Array {
  const proto = fromBinary(ModelProtoSchema, bytes);
  const { graph } = proto;
  const mixture = graph?.node.find(({ opType }) => opType === op);
  assert.ok(graph && mixture);
  const [up, , gated] = LAYERS[op];
  for (const [k, input] of up.entries()) {
    const [gates, values] = [input, gated[k]].map((at) => tensorOf(graph, mixture, at));
    if (gates) interleave(gates, values ?? null);
  }
  for (const input of gated) if (mixture.input[input]) mixture.input[input] = '';
  mixture.attribute = mixture.attribute.filter(({ name }) => name !== 'activation_type');
  mixture.attribute.push(...node('', [], [], { activation_type: 'swiglu' }).attribute);
  setIntegers(mixture, 'swiglu_fusion', 1);
  return toBinary(ModelProtoSchema, proto);
}

function tensorOf({ initializer }: GraphProto, { input }: NodeProto, at: number): TensorProto | undefined {
  return initializer.find(({ name }) => name === input[at]);
}

/** Rows of two tensors in turn, or of the halves of one. */
function interleave(tensor: TensorProto, other: TensorProto | null): void {
  const [experts, rows, ...rest] = tensor.dims.map(Number);
  const units = other ? rows : rows / 2;
  const length = tensor.rawData.byteLength / (experts * rows);
  const rowOf = ({ rawData }: TensorProto, index: number) =>
    rawData.subarray(index * length, (index + 1) * length);
  const turns = Array.from({ length: experts * units }, (_, i) => {
    const first = Math.floor(i / units) * rows + (i % units);
    return [rowOf(tensor, first), other ? rowOf(other, first) : rowOf(tensor, first + units)];
  });
  tensor.rawData = Buffer.concat(turns.flat());
  tensor.dims = [experts, 2 * units, ...rest].map(BigInt);
}

async function outputs(bytes: Uint8Array, batch: number) {
  await using session = await openSession(bytes, RUNTIME);
  const data = Float32Array.from({ length: batch * INPUTS }, (_, i) => Math.sin(i));
  const found = await session.run(new Map([['x', { dtype: 'float32', shape: [batch, INPUTS], data }]]), [
    'y',
  ]);
  const y = found.get('y');
  assert.ok(y);
  return y;
}

function freeRoots({ analysis: { lanes, axesOf } }: AnalysedModel, tensor: string, axis: number): number[] {
  const own = axesOf(tensor)[axis];
  const roots = Array.from(own?.[0].keys() ?? [], (position) => lanes.rootsAt(own, position)).flat();
  return [...new Set(roots)].filter((root) => lanes.obstacleOf(root) === null);
}

describe('mixtures of experts that the CPU has no kernel of', () => {
  for (const form of FORMS) {
    test(`${form.name}: equal to the masked ones where the same is put in the order of the CPU`, async () => {
      const { op } = form;
      const dense = encode(modelOf(form));
      await assert.rejects(outputs(dense, 2));
      const traced = await traceBytes(dense);
      const [pruned, zeroed] = [analyseTraced(traced), analyseTraced(traced)];
      // Blocks that share a byte of zero points are one, and the first of features stay.
      const [features, units] = [1, 2].map((axis) => freeRoots(pruned, 'w2', axis));
      const counts = op === 'MoE' ? [WIDTH, HIDDEN] : [WIDTH / (2 * BLOCK) - 1, HIDDEN / (2 * BLOCK)];
      assert.deepEqual([features.length, units.length], counts);
      const [removedFeatures, removedUnits] = [features, units].map((roots) =>
        roots.filter((_, i) => i % 3 === 0),
      );
      const removed = new Set([...removedFeatures, ...removedUnits]);
      const each = op === 'MoE' ? 1 : 2 * BLOCK;
      const [width, hidden] = [WIDTH - removedFeatures.length * each, HIDDEN - removedUnits.length * each];
      const small = await prunedModel(pruned, removed);
      const { graph } = fromBinary(ModelProtoSchema, small);
      const shapeOf = (tensor: string) =>
        graph?.initializer.find(({ name }) => name === tensor)?.dims.map(Number);
      const perByte = op === 'MoE' ? 1 : 2;
      assert.deepEqual(shapeOf('w1'), [EXPERTS, form.isGated ? hidden : 2 * hidden, width / perByte]);
      assert.deepEqual(shapeOf('w2'), [EXPERTS, width, hidden / perByte]);
      if (op === 'QMoE') assert.deepEqual(shapeOf('z2'), [EXPERTS, width, hidden / BLOCK / 2]);
      const masked = zeroedModel(zeroed, removed);
      for (const batch of [1, 5]) {
        const [found, expected] = [
          await outputs(interleaved(small, op), batch),
          await outputs(interleaved(masked, op), batch),
        ];
        assert.ok(relativeDifference(found, expected) <= TOLERANCE);
      }
    });
  }
});
