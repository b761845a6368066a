import { node } from '../../models/build-model.ts';
import {
  drawNumbers,
  FORMATS,
  type QuantizedFormat,
  quantizedTensor,
} from '../../models/quantized-numbers.ts';
import { weights } from '../../models/runtime-model.ts';
import { KERNEL, of, type RuleCase, random, SPATIAL } from './rule-case.ts';

const { int8, uint8, int32 } = FORMATS;

/** Numbers within a small range, so that no sum of them is cut off. */
const numbers = (name: string, dims: readonly number[], format: QuantizedFormat = uint8) =>
  quantizedTensor(
    name,
    format,
    dims,
    drawNumbers({ ...format, bits: 6, least: format === int8 ? -32 : 90 }, dims, name.length + dims[0]),
  );
const scales = (name: string, dims: readonly number[]) =>
  weights(
    name,
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => 0.01 + 0.003 * (i % 5)),
  );
const zeros = (name: string, dims: readonly number[], format: QuantizedFormat = uint8) =>
  quantizedTensor(
    name,
    format,
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (format === uint8 ? 110 : 0) + (i % 4)),
  );
/** One scale and zero point of an activation. */
const activation = (name: string) => [scales(`${name}s`, []), zeros(`${name}z`, [])];
const microsoft = (
  op: string,
  inputs: string[],
  output: string,
  attributes: Parameters<typeof node>[3] = {},
) => node(op, inputs, [output], attributes, 'com.microsoft');
const bias = (name: string, count: number) =>
  quantizedTensor(
    name,
    int32,
    [count],
    Array.from({ length: count }, (_, i) => 300 * i - 700),
  );

/** What comes out quantized can be summed up as floats. */
const FLOATS = node('DequantizeLinear', ['q', 'ys', 'yz'], ['y']);

export const QUANTIZED_CASES: readonly RuleCase[] = [
  of('QuantizeLinear with a scale a block', 5, [], {
    opset: 21,
    nodes: [
      node('QuantizeLinear', ['x', 's', 'z'], ['q'], { axis: 1, block_size: 2 }),
      node('DequantizeLinear', ['q', 't', 'u'], ['y'], { axis: 1, block_size: 2 }),
    ],
    initializers: [
      random('x', [3, 4]),
      ...['s', 't'].map((name) => scales(name, [3, 2])),
      ...['z', 'u'].map((name) => zeros(name, [3, 2])),
    ],
  }),
  of('DynamicQuantizeLinear', 7, [], {
    nodes: [
      node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
      node('DequantizeLinear', ['q', 's', 'z'], ['y']),
    ],
    initializers: [random('x', [3, 4])],
  }),
  of('QLinearConv', 12, [KERNEL, SPATIAL], {
    nodes: [node('QLinearConv', ['x', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz', 'b'], ['q']), FLOATS],
    initializers: [
      numbers('x', [2, 4, 3, 3]),
      numbers('w', [6, 4, 2, 2], int8),
      ...[...activation('x'), ...activation('y')],
      ...[scales('ws', [6]), quantizedTensor('wz', int8, [6], [0, 0, 0, 0, 0, 0]), bias('b', 6)],
    ],
  }),
  of('ConvInteger', 12, [KERNEL, SPATIAL], {
    nodes: [node('ConvInteger', ['x', 'w', 'xz', 'wz'], ['y'])],
    initializers: [
      numbers('x', [2, 4, 3, 3]),
      numbers('w', [6, 4, 2, 2]),
      ...[zeros('xz', []), zeros('wz', [])],
    ],
  }),
  of('QLinearMatMul', 14, [], {
    nodes: [node('QLinearMatMul', ['a', 'as', 'az', 'b', 'bs', 'bz', 'ys', 'yz'], ['q']), FLOATS],
    initializers: [
      ...[numbers('a', [3, 4]), numbers('b', [4, 7], int8)],
      ...[...activation('a'), ...activation('y'), scales('bs', [7]), zeros('bz', [7], int8)],
    ],
  }),
  of('MatMulInteger', 14, [], {
    nodes: [node('MatMulInteger', ['a', 'b', 'az', 'bz'], ['y'])],
    initializers: [
      ...[numbers('a', [3, 4]), numbers('b', [4, 7], int8)],
      ...[zeros('az', []), zeros('bz', [7], int8)],
    ],
  }),
  ...[0, 1].map((transB) =>
    of(`QGemm, transB ${transB}`, 14, [], {
      nodes: [
        microsoft('QGemm', ['a', 'as', 'az', 'b', 'bs', 'bz', 'c', 'ys', 'yz'], 'q', { transB }),
        FLOATS,
      ],
      initializers: [
        ...[numbers('a', [3, 4]), numbers('b', transB === 1 ? [7, 4] : [4, 7], int8), bias('c', 7)],
        ...[...activation('a'), ...activation('y'), scales('bs', [7]), zeros('bz', [7], int8)],
      ],
    }),
  ),
  of('DynamicQuantizeMatMul', 14, [], {
    nodes: [microsoft('DynamicQuantizeMatMul', ['a', 'b', 'bs', 'bz', 'c'], 'y')],
    initializers: [
      ...[random('a', [3, 4]), numbers('b', [4, 7], int8)],
      ...[scales('bs', [7]), zeros('bz', [7], int8), random('c', [7])],
    ],
  }),
  of('MatMulIntegerToFloat', 14, [], {
    nodes: [microsoft('MatMulIntegerToFloat', ['a', 'b', 'as', 'bs', 'az', 'bz', 'c'], 'y')],
    initializers: [
      ...[numbers('a', [3, 4]), numbers('b', [4, 7], int8)],
      ...[...activation('a'), scales('bs', [7]), zeros('bz', [7], int8), random('c', [7])],
    ],
  }),
  of('QLinearAdd and QLinearMul', 7, [], {
    nodes: [
      microsoft('QLinearAdd', ['a', 'as', 'az', 'b', 'bs', 'bz', 'cs', 'cz'], 'c'),
      microsoft('QLinearMul', ['c', 'cs', 'cz', 'd', 'ds', 'dz', 'ys', 'yz'], 'q'),
      FLOATS,
    ],
    initializers: [
      ...[numbers('a', [3, 4]), numbers('b', [4]), numbers('d', [3, 1])],
      ...['a', 'b', 'c', 'd', 'y'].flatMap(activation),
    ],
  }),
  of('QLinearConcat', 9, [], {
    nodes: [
      microsoft('QLinearConcat', ['ys', 'yz', 'a', 'as', 'az', 'b', 'bs', 'bz'], 'q', { axis: 1 }),
      FLOATS,
    ],
    initializers: [numbers('a', [3, 4]), numbers('b', [3, 2]), ...['a', 'b', 'y'].flatMap(activation)],
  }),
  of('QLinearGlobalAveragePool', 6, [SPATIAL], {
    nodes: [microsoft('QLinearGlobalAveragePool', ['x', 'xs', 'xz', 'ys', 'yz'], 'q'), FLOATS],
    initializers: [numbers('x', [2, 4, 3, 3]), ...activation('x'), ...activation('y')],
  }),
  of('QLinearGlobalAveragePool, its channels last', 0, ['has its channels last'], {
    nodes: [
      microsoft('QLinearGlobalAveragePool', ['x', 'xs', 'xz', 'ys', 'yz'], 'q', { channels_last: 1 }),
      FLOATS,
    ],
    initializers: [numbers('x', [2, 3, 3, 4]), ...activation('x'), ...activation('y')],
  }),
  of('QLinearLeakyRelu', 7, [], {
    nodes: [microsoft('QLinearLeakyRelu', ['x', 'xs', 'xz', 'ys', 'yz'], 'q'), FLOATS],
    initializers: [numbers('x', [3, 4]), ...activation('x'), ...activation('y')],
  }),
  // Two rows of three blocks, the last of 8; zero points of two blocks share a byte.
  ...[true, false].map((isFlat) =>
    of(`MatMulNBits, scales ${isFlat ? 'as a vector' : 'by row'}`, 10, ['is a place within a block'], {
      nodes: [
        microsoft('MatMulNBits', ['a', 'b', 's', 'z', '', 'c'], 'y', {
          K: 40,
          N: 5,
          bits: 4,
          block_size: 16,
        }),
      ],
      initializers: [
        random('a', [3, 40]),
        ...[numbers('b', [5, 3, 8]), scales('s', isFlat ? [15] : [5, 3])],
        ...[numbers('z', isFlat ? [10] : [5, 2]), random('c', [5])],
      ],
    }),
  ),
  of('MatMulNBits of 8 bits', 11, ['is a place within a block'], {
    nodes: [microsoft('MatMulNBits', ['a', 'b', 's', 'z'], 'y', { K: 40, N: 5, bits: 8, block_size: 16 })],
    initializers: [
      random('a', [3, 40]),
      ...[numbers('b', [5, 3, 16]), scales('s', [15]), numbers('z', [5, 3])],
    ],
  }),
];
