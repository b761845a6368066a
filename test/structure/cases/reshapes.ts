import { integers, node } from '../../models/build-model.ts';
import { of, type RuleCase, random, SPATIAL, TIED } from './rule-case.ts';

const CHANCE = 'hangs together with other positions where the input has another size';

/** Three heads of four, with their axes in another order. */
const intoHeads = (perm: number[]) => [
  node('MatMul', ['x', 'w'], ['h']),
  node('Reshape', ['h', 'heads'], ['split']),
  node('Transpose', ['split'], ['turned'], { perm }),
];
const SIZES = [
  ...[random('w', [4, 12]), integers('heads', [0, 0, 3, 4]), integers('zero', [0]), integers('one', [1])],
  ...[integers('minus', [-1]), integers('three', [3]), integers('four', [4])],
];

export const RESHAPES_CASES: readonly RuleCase[] = [
  of('Reshape into heads and back', 7, [TIED], {
    inputs: [['x', ['batch', 5, 4]]],
    nodes: [
      ...intoHeads([0, 2, 1, 3]),
      node('Relu', ['turned'], ['r']),
      node('Transpose', ['r'], ['back'], { perm: [0, 2, 1, 3] }),
      node('Reshape', ['back', 'merged'], ['y']),
    ],
    initializers: [random('w', [4, 12]), integers('heads', [0, 0, 3, 4]), integers('merged', [0, 0, -1])],
  }),
  of('Reshape with two open sizes, one of which shrinks', 7, [TIED], {
    inputs: [['x', ['batch', 'time', 4]]],
    nodes: [
      ...intoHeads([0, 2, 1, 3]),
      node('Shape', ['x'], ['sizes']),
      node('Gather', ['sizes', 'one'], ['time']),
      node('Concat', ['minus', 'time', 'four'], ['target'], { axis: 0 }),
      node('Reshape', ['turned', 'target'], ['rows']),
      node('Relu', ['rows'], ['r']),
      node('Gather', ['sizes', 'zero'], ['batch']),
      node('Concat', ['batch', 'three', 'time', 'four'], ['whole'], { axis: 0 }),
      node('Reshape', ['r', 'whole'], ['y']),
    ],
    initializers: SIZES,
  }),
  of(
    'Reshape whose -1 is another open size than the one that shrinks',
    4,
    ['has a size that depends on the input, beside others that do', TIED],
    {
      inputs: [['x', ['batch', 'time', 4]]],
      nodes: [
        ...intoHeads([0, 2, 1, 3]),
        node('Shape', ['x'], ['sizes']),
        node('Gather', ['sizes', 'zero'], ['batch']),
        node('Mul', ['batch', 'three'], ['merged']),
        node('Concat', ['merged', 'minus', 'four'], ['target'], { axis: 0 }),
        node('Reshape', ['turned', 'target'], ['rows']),
        node('Gather', ['sizes', 'one'], ['time']),
        node('Concat', ['batch', 'three', 'time', 'four'], ['whole'], { axis: 0 }),
        node('Reshape', ['rows', 'whole'], ['y']),
      ],
      initializers: SIZES,
    },
  ),
  of('Shape of heads that the batch is merged with, for another of its sizes', 7, [TIED], {
    inputs: [['x', ['batch', 'time', 4]]],
    nodes: [
      ...intoHeads([2, 0, 1, 3]),
      node('Shape', ['x'], ['sizes']),
      node('Gather', ['sizes', 'one'], ['length']),
      node('Concat', ['minus', 'length', 'four'], ['target'], { axis: 0 }),
      node('Reshape', ['turned', 'target'], ['rows']),
      node('Shape', ['rows'], ['merged']),
      node('Gather', ['merged', 'one'], ['time']),
      node('Concat', ['three', 'minus', 'time', 'four'], ['whole'], { axis: 0 }),
      node('Reshape', ['rows', 'whole'], ['y']),
    ],
    initializers: [
      ...[random('w', [4, 12]), integers('heads', [0, 0, 3, 4]), integers('one', [1])],
      ...[integers('minus', [-1]), integers('three', [3]), integers('four', [4])],
    ],
  }),
  of('Reshape to the Shape of another', 8, [TIED], {
    inputs: [['x', ['batch', 'time', 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Shape', ['h'], ['sizes']),
      node('Reshape', ['h', 'rows'], ['flat']),
      node('Relu', ['flat'], ['r']),
      node('Reshape', ['r', 'sizes'], ['y']),
    ],
    initializers: [random('w', [4, 8]), integers('rows', [-1, 8])],
  }),
  of('Reshape of what stays to the Shape of what shrinks', 8, [TIED], {
    inputs: [['x', ['batch', 8]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Shape', ['h'], ['sizes']),
      node('Reshape', ['x', 'all'], ['flat']),
      node('Reshape', ['flat', 'sizes'], ['y']),
    ],
    outputs: ['h', 'y'],
    initializers: [random('w', [8, 8]), integers('all', [-1])],
  }),
  of('Reshape whose sizes fit those of the input by chance', 0, [CHANCE, TIED], {
    inputs: [['x', ['batch', 3]]],
    nodes: [node('Mul', ['x', 'w'], ['h']), node('Reshape', ['h', 'pairs'], ['y'])],
    initializers: [random('w', [4, 1, 3]), integers('pairs', [-1, 2, 3])],
  }),
  of('Reshape of heads and batch that fits by chance', 3, [CHANCE, TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      ...intoHeads([1, 0, 2]),
      node('Reshape', ['turned', 'rows'], ['merged']),
      node('Reshape', ['merged', 'pairs'], ['y']),
    ],
    initializers: [
      random('w', [4, 12]),
      ...[integers('heads', [0, 4, 3]), integers('rows', [-1, 3]), integers('pairs', [-1, 2, 3])],
    ],
  }),
  of('Flatten', 9, [], {
    nodes: [node('Flatten', ['x'], ['y'], { axis: 2 })],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('Squeeze, Unsqueeze', 7, [], {
    nodes: [
      node('Unsqueeze', ['x', 'new'], ['u']),
      node('Relu', ['u'], ['r']),
      node('Squeeze', ['r', 'old'], ['y']),
    ],
    initializers: [random('x', [3, 1, 4]), integers('new', [0, -2]), integers('old', [-2, 2])],
  }),
  of('Squeeze of all axes of one position, where another comes to have one', 2, [], {
    nodes: [node('Squeeze', ['x'], ['s']), node('Relu', ['s'], ['y'])],
    initializers: [random('x', [1, 2, 1])],
  }),
  of('Squeeze before version 13', 2, [], {
    opset: 11,
    nodes: [node('Squeeze', ['x'], ['s']), node('Relu', ['s'], ['y'])],
    initializers: [random('x', [1, 2, 1])],
  }),
  of('Transpose without an order', 9, [], {
    nodes: [node('Transpose', ['x'], ['y'])],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('DepthToSpace', 5, ['becomes a spatial axis', SPATIAL], {
    nodes: [node('DepthToSpace', ['x'], ['y'], { blocksize: 2 })],
    initializers: [random('x', [2, 12, 3, 3])],
  }),
  of('DepthToSpace, channels first', 5, ['becomes a spatial axis', SPATIAL], {
    nodes: [node('DepthToSpace', ['x'], ['y'], { blocksize: 2, mode: 'CRD' })],
    initializers: [random('x', [2, 12, 3, 3])],
  }),
  of('SpaceToDepth', 5, [SPATIAL], {
    nodes: [node('SpaceToDepth', ['x'], ['y'], { blocksize: 2 })],
    initializers: [random('x', [2, 3, 4, 4])],
  }),
];
