import { node } from '../../models/build-model.ts';
import { KERNEL, of, type RuleCase, random, SPATIAL } from './rule-case.ts';

export const LAYERS_CASES: readonly RuleCase[] = [
  of('Conv', 16, [KERNEL, SPATIAL], {
    nodes: [node('Conv', ['x', 'w', 'b'], ['h'], { pads: [1, 1, 1, 1] }), node('Conv', ['h', 'v'], ['y'])],
    initializers: [
      random('x', [2, 3, 5, 5]),
      random('w', [6, 3, 3, 3]),
      random('b', [6]),
      random('v', [5, 6, 1, 1]),
    ],
  }),
  of('Conv in groups', 15, [KERNEL, SPATIAL], {
    nodes: [node('Conv', ['x', 'w', 'b'], ['y'], { group: 3 })],
    initializers: [random('x', [2, 12, 3, 3]), random('w', [18, 4, 2, 2]), random('b', [18])],
  }),
  of(
    'Conv in groups of an input that cannot shrink',
    4,
    [
      'belongs to an input that cannot shrink',
      KERNEL,
      'is one of several groups of an input that cannot shrink',
    ],
    {
      inputs: [['x', ['batch', 6, 3, 3]]],
      nodes: [node('Conv', ['x', 'w'], ['y'], { group: 3 })],
      initializers: [random('w', [12, 2, 2, 2])],
    },
  ),
  of('Conv depthwise with two units a channel', 8, [KERNEL, SPATIAL], {
    nodes: [node('Conv', ['x', 'w'], ['y'], { group: 4 })],
    initializers: [random('x', [2, 4, 3, 3]), random('w', [8, 1, 2, 2])],
  }),
  of('ConvTranspose', 11, [KERNEL, SPATIAL], {
    nodes: [node('ConvTranspose', ['x', 'w', 'b'], ['y'], { strides: [2, 2] })],
    initializers: [random('x', [2, 4, 3, 3]), random('w', [4, 5, 2, 2]), random('b', [5])],
  }),
  of('ConvTranspose in groups', 12, [KERNEL, SPATIAL], {
    nodes: [node('ConvTranspose', ['x', 'w', 'b'], ['y'], { group: 3 })],
    initializers: [random('x', [2, 12, 3, 3]), random('w', [12, 3, 2, 2]), random('b', [9])],
  }),
  of('ConvTranspose depthwise', 6, [KERNEL, SPATIAL], {
    nodes: [node('ConvTranspose', ['x', 'w', 'b'], ['y'], { group: 4 })],
    initializers: [random('x', [2, 4, 3, 3]), random('w', [4, 1, 2, 2]), random('b', [4])],
  }),
  of('Gemm', 12, [], {
    nodes: [node('Gemm', ['a', 'b', 'c'], ['y'])],
    initializers: [random('a', [3, 4]), random('b', [4, 5]), random('c', [5])],
  }),
  of('Gemm transposed, with a column added', 12, [], {
    nodes: [node('Gemm', ['a', 'b', 'c'], ['y'], { transA: 1, transB: 1 })],
    initializers: [random('a', [4, 3]), random('b', [5, 4]), random('c', [3, 1])],
  }),
  of('MatMul in batches', 20, [], {
    nodes: [node('MatMul', ['a', 'b'], ['y'])],
    initializers: [random('a', [2, 1, 3, 4]), random('b', [5, 4, 6])],
  }),
  of('MatMul of batches that go together', 15, [], {
    nodes: [node('MatMul', ['a', 'b'], ['y'])],
    initializers: [random('a', [3, 3, 4]), random('b', [3, 4, 5])],
  }),
  of('MatMul of vectors', 9, [], {
    nodes: [
      node('MatMul', ['v', 'a'], ['va']),
      node('MatMul', ['va', 'w'], ['s']),
      node('Add', ['va', 's'], ['y']),
    ],
    initializers: [random('v', [4]), random('a', [4, 5]), random('w', [5])],
  }),
  of('Einsum', 14, [], {
    nodes: [node('Einsum', ['a', 'b'], ['y'], { equation: 'bij,bjk->bik' })],
    initializers: [random('a', [2, 3, 4]), random('b', [2, 4, 5])],
  }),
  of('Einsum without an arrow, letters out of order', 12, [], {
    nodes: [node('Einsum', ['a', 'b'], ['y'], { equation: 'kj, ij' })],
    initializers: [random('a', [3, 4]), random('b', [5, 4])],
  }),
  of('Einsum of several axes behind an ellipsis, without an arrow', 14, [], {
    nodes: [node('Einsum', ['a', 'b'], ['y'], { equation: '...i,ij' })],
    initializers: [random('a', [2, 3, 4]), random('b', [4, 5])],
  }),
  of('Einsum that broadcasts', 14, [], {
    nodes: [node('Einsum', ['a', 'b'], ['y'], { equation: '...ij,...jk->...ik' })],
    initializers: [random('a', [2, 3, 4]), random('b', [1, 4, 5])],
  }),
  of('Einsum of a letter that only the second has', 9, [], {
    nodes: [node('Einsum', ['a', 'b'], ['y'], { equation: 'i,jk->ij' })],
    initializers: [random('a', [3]), random('b', [2, 4])],
  }),
  of('Einsum of a diagonal behind an ellipsis', 5, [], {
    nodes: [node('Einsum', ['a'], ['y'], { equation: '...ii->...i' })],
    initializers: [random('a', [2, 3, 3])],
  }),
];
