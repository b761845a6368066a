import { TensorProto_DataType } from '../../../src/formats/onnx/onnx-schema.ts';
import { floats, graph, integers, node } from '../../models/build-model.ts';
import { cast, int64, of, type RuleCase, random, scalar, TIED, typed } from './rule-case.ts';

export const ELEMENTWISE_CASES: readonly RuleCase[] = [
  of('Add broadcasts', 10, [], {
    nodes: [
      node('Add', ['a', 'b'], ['ab']),
      node('Add', ['ab', 'd'], ['abd']),
      node('Add', ['abd', 'c'], ['y']),
    ],
    initializers: [random('a', [4, 6]), random('b', [6]), random('c', [4, 1]), random('d', [4, 6])],
  }),
  of('Add of what cannot shrink', 4, [TIED], {
    nodes: [node('Cast', ['i'], ['f'], { to: TensorProto_DataType.FLOAT }), node('Add', ['a', 'f'], ['y'])],
    initializers: [random('a', [4, 3]), integers('i', [1, 2, 3])],
  }),
  of('Clip, Dropout', 10, [], {
    nodes: [
      node('Clip', ['a', 'low', 'high'], ['clipped']),
      node('Dropout', ['clipped'], ['dropped', 'mask']),
      cast('mask', 'number', TensorProto_DataType.FLOAT),
      node('Mul', ['dropped', 'number'], ['y']),
    ],
    initializers: [random('a', [4, 6]), scalar('low', -0.5), scalar('high', 0.5)],
  }),
  of('Where', 10, [], {
    nodes: [node('Less', ['a', 'b'], ['c']), node('Where', ['c', 'd', 'e'], ['y'])],
    initializers: ['a', 'b', 'd', 'e'].map((name) => random(name, [4, 6])),
  }),
  of('Dropout at random', 0, ['is dropped at random'], {
    nodes: [node('Dropout', ['a', 'ratio', 'on'], ['y'])],
    initializers: [
      random('a', [4, 6]),
      scalar('ratio', 0.5),
      typed('on', TensorProto_DataType.BOOL, [], Uint8Array.of(1).buffer),
    ],
  }),
  of('sqrt(d) and d / heads of Shape stay dense', 8, [TIED], {
    inputs: [['x', ['batch', 5, 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Shape', ['h'], ['sizes']),
      node('Gather', ['sizes', 'last'], ['d']),
      cast('d', 'df', TensorProto_DataType.FLOAT),
      node('Sqrt', ['df'], ['root']),
      node('Div', ['d', 'two'], ['half']),
      cast('half', 'hf', TensorProto_DataType.FLOAT),
      node('Div', ['h', 'root'], ['scaled']),
      node('Mul', ['scaled', 'hf'], ['y']),
    ],
    initializers: [random('w', [4, 8]), integers('last', [2], []), integers('two', [2], [])],
  }),
  of('Shape cast to float before its size is taken stays dense', 8, [TIED], {
    inputs: [['x', ['batch', 5, 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Shape', ['h'], ['sizes']),
      cast('sizes', 'numbers', TensorProto_DataType.FLOAT),
      node('Gather', ['numbers', 'last'], ['d']),
      node('Div', ['h', 'd'], ['y']),
    ],
    initializers: [random('w', [4, 8]), integers('last', [2], [])],
  }),
  of('Shape from an axis on, cast to float', 8, [TIED], {
    inputs: [['x', ['batch', 'time', 4]]],
    opset: 15,
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Shape', ['h'], ['sizes'], { start: 1 }),
      cast('sizes', 'numbers', TensorProto_DataType.FLOAT),
      node('Gather', ['numbers', 'last'], ['d']),
      node('Div', ['h', 'd'], ['y']),
    ],
    initializers: [random('w', [4, 8]), integers('last', [-1], [])],
  }),
  of('Size of what shrinks', 0, ['has its positions counted', TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Size', ['h'], ['count']),
      cast('count', 'number', TensorProto_DataType.FLOAT),
      node('Div', ['h', 'number'], ['y']),
    ],
    initializers: [random('w', [4, 8])],
  }),
  of(
    'Shape of heads that the batch is merged with, computed with',
    4,
    ['has a size that follows the input and is read', TIED],
    {
      inputs: [['x', ['batch', 4]]],
      nodes: [
        node('MatMul', ['x', 'w'], ['h']),
        node('Reshape', ['h', 'rows'], ['merged']),
        node('Shape', ['merged'], ['sizes']),
        cast('sizes', 'numbers', TensorProto_DataType.FLOAT),
        node('ReduceMax', ['numbers'], ['most'], { keepdims: 0 }),
        node('Div', ['h', 'most'], ['y']),
      ],
      initializers: [random('w', [4, 12]), integers('rows', [-1, 4])],
    },
  ),
  of('integers made of floats that could shrink', 3, [TIED], {
    nodes: [
      cast('a', 'i', TensorProto_DataType.INT64),
      node('Add', ['i', 'i'], ['doubled']),
      cast('doubled', 'f', TensorProto_DataType.FLOAT),
      node('Add', ['f', 'b'], ['y']),
    ],
    initializers: [floats('a', [4]), random('b', [3, 4])],
  }),
  of('Range', 4, [TIED], {
    nodes: [
      node('Range', ['zero', 'four', 'one'], ['range']),
      cast('range', 'f', TensorProto_DataType.FLOAT),
      node('Mul', ['a', 'f'], ['y']),
    ],
    initializers: [
      random('a', [4, 4]),
      ...[integers('zero', [0], []), integers('four', [4], []), integers('one', [1], [])],
    ],
  }),
  of('integers beyond 2^53', 4, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Add', ['large', 'two'], ['odd']),
      node('Shape', ['x'], ['sizes']),
      node('Gather', ['sizes', 'zero'], ['batch']),
      node('Mod', ['odd', 'batch'], ['rest']),
      cast('rest', 'number', TensorProto_DataType.FLOAT),
      node('Mul', ['h', 'number'], ['y']),
    ],
    initializers: [
      ...[random('w', [4, 4]), int64('large', [2n ** 53n + 1n])],
      ...[integers('two', [2]), integers('zero', [0])],
    ],
  }),
  of(
    'an operator without a rule, that has the name of one that has',
    0,
    ['is read by com.microsoft.Pad, which has no rule for structures'],
    {
      nodes: [node('Pad', ['a', 'none'], ['y'], {}, 'com.microsoft')],
      initializers: [random('a', [4, 3]), integers('none', [0, 0, 0, 0])],
    },
  ),
  of('a branch of If reads a value', 6, ['is read inside a branch or loop'], {
    inputs: [['c', [1], 'BOOL']],
    nodes: [
      node('MatMul', ['a', 'b'], ['h']),
      node('Relu', ['h'], ['r']),
      node('If', ['c'], ['t'], {
        then_branch: graph({ nodes: [node('Abs', ['h'], ['ta'])], outputs: ['ta'] }),
        else_branch: graph({ nodes: [node('Neg', ['h'], ['tb'])], outputs: ['tb'] }),
      }),
      node('Add', ['r', 't'], ['y']),
    ],
    initializers: [random('a', [3, 6]), random('b', [6, 5])],
  }),
];
