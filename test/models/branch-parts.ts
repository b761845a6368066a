import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random } from '../structure/cases/rule-case.ts';
import { graph, integers, node, value } from './build-model.ts';
import type { Parts } from './traced-model.ts';

export const ROWS: NonNullable<Parts['inputs']>[number] = ['x', ['batch', 4]];
export const condition = (name: string): NonNullable<Parts['inputs']>[number] => [name, [1], 'BOOL'];

/** Two layers, named with `stem`, from `input` to `${stem}_y`; `up` and `down` are their weights. */
export function network(stem: string, input = 'x', up = `${stem}_up`, down = `${stem}_down`): NodeProto[] {
  return [
    node('MatMul', [input, up], [`${stem}_h`]),
    node('Relu', [`${stem}_h`], [`${stem}_r`]),
    node('MatMul', [`${stem}_r`, down], [`${stem}_y`]),
  ];
}

export const networkWeights = (stem: string, width: number, inputs = 4) => [
  random(`${stem}_up`, [inputs, width]),
  random(`${stem}_down`, [width, 3]),
];

export const branch = (nodes: NodeProto[], initializers: TensorProto[] = []): GraphProto =>
  graph({ nodes, initializers, outputs: [nodes.at(-1)!.output[0]] });

export const choose = (by: string, output: string, whenTrue: GraphProto, whenFalse: GraphProto) =>
  node('If', [by], [output], { then_branch: whenTrue, else_branch: whenFalse });

/** Two layers with a Reshape to rows of two and back between them, which both name the batch: `count`, computed outside as `two` is, and Shape inside. */
export function reshaped(stem: string): NodeProto[] {
  return [
    node('MatMul', ['x', `${stem}_up`], [`${stem}_h`]),
    node('Concat', ['count', 'two', 'rest'], [`${stem}_to`], { axis: 0 }),
    node('Reshape', [`${stem}_h`, `${stem}_to`], [`${stem}_p`]),
    node('Unsqueeze', [`${stem}_p`, 'two'], [`${stem}_u`]),
    node('Relu', [`${stem}_u`], [`${stem}_r`]),
    node('Shape', ['x'], [`${stem}_s`]),
    node('Gather', [`${stem}_s`, 'zero'], [`${stem}_n`]),
    node('Concat', [`${stem}_n`, `${stem}_whole`], [`${stem}_back`], { axis: 0 }),
    node('Reshape', [`${stem}_r`, `${stem}_back`], [`${stem}_f`]),
    node('MatMul', [`${stem}_f`, `${stem}_down`], [`${stem}_y`]),
  ];
}

export const reshapedWeights = (stem: string, width: number) => [
  ...networkWeights(stem, width),
  integers(`${stem}_whole`, [width]),
];

export function constant(tensor: TensorProto): NodeProto {
  return node('Constant', [], [tensor.name], { value: tensor });
}

export function withIrVersion(version: bigint, model: ModelProto): ModelProto {
  model.irVersion = version;
  return model;
}

export const CONVOLUTION_SIZES = [
  ...[integers('zero', [0]), integers('one', [1]), integers('two', [2])],
  ...[integers('parts', [2, 4]), integers('whole', [8])],
];

/** A convolution whose channels are parted and put together again, every size of the sequence computed of Shape. */
export function convolution(): NodeProto[] {
  return [
    node('Unsqueeze', ['x', 'one'], ['wide']),
    node('Conv', ['wide', 'conv'], ['h']),
    node('Shape', ['h'], ['s']),
    node('Gather', ['s', 'zero'], ['n']),
    node('Gather', ['s', 'two'], ['l']),
    node('Concat', ['n', 'parts', 'l'], ['to'], { axis: 0 }),
    node('Reshape', ['h', 'to'], ['p']),
    node('Relu', ['p'], ['r']),
    node('Concat', ['n', 'whole', 'l'], ['back'], { axis: 0 }),
    node('Reshape', ['r', 'back'], ['f']),
    node('ReduceMean', ['f'], ['m'], { axes: [2], keepdims: 0 }),
    node('MatMul', ['m', 'down'], ['e']),
  ];
}

export function loopBody(): GraphProto {
  const body = graph({
    nodes: [node('Identity', ['going'], ['on']), node('MatMul', ['state', 'square'], ['next'])],
    initializers: [random('square', [4, 4])],
    outputs: ['on', 'next'],
  });
  body.input = [value('turn', [], 'INT64'), value('going', [], 'BOOL'), value('state', ['rows', 4])];
  return body;
}
