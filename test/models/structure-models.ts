import { create } from '@bufbuild/protobuf';
import {
  type NodeProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { encode, floats, graph, integers, node, value } from './build-model.ts';
import { runnableModel } from './runtime-model.ts';

const WIDTH = 16;
const HEADS = 4;

/** One block of a transformer without norms: attention with separate projections, then a perceptron. */
export function transformer(): Uint8Array {
  const split = (name: string, perm: number[]): NodeProto[] => [
    node('MatMul', ['x', `w_${name}`], [`${name}_flat`]),
    node('Reshape', [`${name}_flat`, 'by_head'], [`${name}_split`]),
    node('Transpose', [`${name}_split`], [name], { perm }),
  ];
  const nodes = [
    ...split('q', [0, 2, 1, 3]),
    ...split('k', [0, 2, 3, 1]),
    ...split('v', [0, 2, 1, 3]),
    node('MatMul', ['q', 'k'], ['scores']),
    node('Softmax', ['scores'], ['weights'], { axis: -1 }),
    node('MatMul', ['weights', 'v'], ['mixed']),
    node('Transpose', ['mixed'], ['mixed_back'], { perm: [0, 2, 1, 3] }),
    node('Reshape', ['mixed_back', 'whole'], ['joined']),
    node('MatMul', ['joined', 'w_o'], ['attended']),
    node('Add', ['x', 'attended'], ['middle']),
    node('MatMul', ['middle', 'w_up'], ['up']),
    node('Relu', ['up'], ['hidden']),
    node('MatMul', ['hidden', 'w_down'], ['down']),
    node('Add', ['middle', 'down'], ['y']),
  ];
  return encode(
    runnableModel({
      inputs: [value('x', ['batch', 'tokens', WIDTH])],
      nodes,
      outputs: [value('y', ['batch', 'tokens', WIDTH])],
      initializers: [
        ...['w_q', 'w_k', 'w_v', 'w_o'].map((name) => floats(name, [WIDTH, WIDTH])),
        floats('w_up', [WIDTH, 2 * WIDTH]),
        floats('w_down', [2 * WIDTH, WIDTH]),
        integers('by_head', [0, 0, HEADS, WIDTH / HEADS]),
        integers('whole', [0, 0, WIDTH]),
      ],
    }),
  );
}

/** Whether `x` is a matrix of four columns is all that these share: `nodes` make `addend` of what is stored. */
function adding(
  nodes: NodeProto[],
  initializers: ReturnType<typeof integers>[],
  columns: number | string = 4,
) {
  return encode(
    runnableModel({
      inputs: [value('x', ['batch', columns])],
      nodes: [...nodes, node('Add', ['x', 'addend'], ['y'])],
      outputs: [value('y', ['batch', columns])],
      initializers,
    }),
  );
}

/** Its graph takes years: a loop of 2^53 turns. */
export function endless(name = 'turn'): Uint8Array {
  const body = graph({
    nodes: [node('Identity', ['going'], ['go_on']), node('Identity', [name], ['turned'])],
  });
  body.input = [value('i', [], 'INT64'), value('going', [], 'BOOL'), value(name, ['batch', 4])];
  body.output = [value('go_on', [], 'BOOL'), value('turned', ['batch', 4])];
  const start = [node('Cast', ['one'], ['true'], { to: TensorProto_DataType.BOOL })];
  const loop = node('Loop', ['turns', 'true', 'x'], ['addend'], { body });
  return adding([...start, loop], [integers('turns', [2 ** 53], []), integers('one', [1], [])]);
}

/** The smallest integer over -1: no integer, and an interrupt of x86 processors that onnxruntime does not look out for. */
export function crashing(): Uint8Array {
  const smallest = create(TensorProtoSchema, {
    name: 'smallest',
    dims: [1n],
    dataType: TensorProto_DataType.INT64,
    int64Data: [-(2n ** 63n)],
  });
  return adding(
    [
      // A divisor that is stored would be looked at.
      node('Identity', ['minus_one'], ['divisor']),
      node('Div', ['smallest', 'divisor'], ['quotient']),
      node('Cast', ['quotient'], ['addend'], { to: TensorProto_DataType.FLOAT }),
    ],
    [smallest, integers('minus_one', [-1])],
  );
}

/** A tensor of so many floats, in 200 bytes of file. */
export function swelling(elements: number): Uint8Array {
  return adding(
    [node('ConstantOfShape', ['size'], ['zeros']), node('ReduceSum', ['zeros'], ['addend'], { keepdims: 0 })],
    [integers('size', [elements])],
  );
}

/** onnxruntime refuses its shapes. */
export function mismatched(): Uint8Array {
  return adding([node('Identity', ['three'], ['addend'])], [floats('three', [3])]);
}
