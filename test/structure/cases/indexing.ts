import { TensorProto_DataType } from '../../../src/formats/onnx/onnx-schema.ts';
import { integers, node } from '../../models/build-model.ts';
import { INT64_MAX, int32, int64, of, type RuleCase, random, TIED, typed } from './rule-case.ts';

export const SELECTIONS_CASES: readonly RuleCase[] = [
  of('Concat', 9, [], {
    nodes: [node('Concat', ['a', 'b'], ['y'], { axis: -1 })],
    initializers: [random('a', [3, 2]), random('b', [3, 4])],
  }),
  of('Concat of what can shrink and what cannot', 4, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('Concat', ['x', 'h'], ['y'], { axis: 1 })],
    initializers: [random('w', [4, 4])],
  }),
  of('Split before version 13', 8, [], {
    opset: 11,
    nodes: [node('Split', ['x'], ['a', 'b'], { axis: 1, split: [2, 4] }), node('Relu', ['b'], ['y'])],
    outputs: ['a', 'y'],
    initializers: [random('x', [2, 6])],
  }),
  of('Split with sizes', 8, [], {
    nodes: [node('Split', ['x', 'sizes'], ['a', 'b'], { axis: 1 })],
    outputs: ['a', 'b'],
    initializers: [random('x', [2, 6]), integers('sizes', [2, 4])],
  }),
  of('Split into a number of parts', 9, [], {
    opset: 18,
    nodes: [node('Split', ['x'], ['a', 'b'], { axis: 1, num_outputs: 2 })],
    outputs: ['a', 'b'],
    initializers: [random('x', [2, 7])],
  }),
  of('Split into halves that go together', 5, [], {
    nodes: [node('Split', ['x'], ['a', 'b'], { axis: 1 }), node('Mul', ['a', 'b'], ['y'])],
    initializers: [random('x', [2, 6])],
  }),
  of('Split off a single position', 4, ['is split into single positions'], {
    nodes: [node('Split', ['x', 'sizes'], ['a', 'b'], { axis: 1 })],
    outputs: ['a', 'b'],
    initializers: [random('x', [2, 3]), integers('sizes', [1, 2])],
  }),
  of('Slice to the end of the batch and of channels', 8, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('Slice', ['h', 'starts', 'ends', 'axes'], ['y'])],
    initializers: [
      random('w', [4, 8]),
      integers('starts', [0, 3]),
      int64('ends', [INT64_MAX, INT64_MAX]),
      integers('axes', [0, 1]),
    ],
  }),
  of('Slice with ends that are put together', 8, [TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Concat', ['end', 'five'], ['ends'], { axis: 0 }),
      node('Slice', ['h', 'starts', 'ends'], ['y']),
    ],
    initializers: [
      random('w', [4, 8]),
      integers('starts', [0, 1]),
      int64('end', [INT64_MAX]),
      integers('five', [5]),
    ],
  }),
  of('Slice from the end, in int32', 10, [], {
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], ['y'])],
    initializers: [
      random('x', [2, 8]),
      int32('starts', [-5]),
      int32('ends', [-1]),
      int32('axes', [1]),
      int32('steps', [1]),
    ],
  }),
  of('Slice before version 10', 10, [], {
    opset: 9,
    nodes: [node('Slice', ['x'], ['y'], { starts: [2], ends: [6], axes: [1] })],
    initializers: [random('x', [2, 8])],
  }),
  of('Slice of one position', 9, ['is the one position that a slice takes'], {
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes'], ['y'])],
    initializers: [
      random('x', [2, 8]),
      integers('starts', [3]),
      integers('ends', [4]),
      integers('axes', [1]),
    ],
  }),
  of('Slice in steps', 10, [], {
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], ['y'])],
    initializers: [
      random('x', [2, 8]),
      integers('starts', [0]),
      integers('ends', [8]),
      integers('axes', [1]),
      integers('steps', [2]),
    ],
  }),
  of('Slice backwards', 10, [], {
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], ['y'])],
    initializers: [
      random('x', [2, 8]),
      integers('starts', [-1]),
      integers('ends', [-9]),
      integers('axes', [1]),
      integers('steps', [-1]),
    ],
  }),
  of('Slice backwards in steps, and of one position', 10, ['is the one position that a slice takes'], {
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], ['y'])],
    initializers: [
      random('x', [3, 8]),
      integers('starts', [1, 6]),
      integers('ends', [2, 0]),
      integers('axes', [0, 1]),
      integers('steps', [1, -3]),
    ],
  }),
  of('Slice by bounds that are not constant', 3, ['is sliced by bounds that are not constant'], {
    inputs: [['ends', [1], 'INT64']],
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes'], ['y'])],
    initializers: [random('x', [3, 8]), integers('starts', [0]), integers('axes', [1])],
  }),
  of('Gather of positions', 10, [], {
    nodes: [node('Gather', ['x', 'i'], ['y'], { axis: 1 })],
    initializers: [random('x', [2, 8]), integers('i', [1, -1, 1, 3])],
  }),
  of('Gather of one position', 9, ['is the one position that is looked up'], {
    nodes: [node('Gather', ['x', 'i'], ['y'], { axis: 1 })],
    initializers: [random('x', [2, 8]), integers('i', [-3], [])],
  }),
  of('Gather of rows that the input names', 4, ['is looked up by index'], {
    inputs: [['i', ['batch', 3], 'INT64']],
    nodes: [node('Gather', ['x', 'i'], ['y'])],
    initializers: [random('x', [5, 4])],
  }),
  of('Gather of a table of positions', 2, ['is looked up by index'], {
    nodes: [node('Gather', ['x', 'i'], ['y'], { axis: 1 })],
    initializers: [random('x', [2, 8]), integers('i', [0, 1, 2, 3], [2, 2])],
  }),
  of('Compress', 6, ['is compressed'], {
    nodes: [node('Compress', ['x', 'c'], ['y'], { axis: 1 })],
    initializers: [
      random('x', [2, 3, 4]),
      typed('c', TensorProto_DataType.BOOL, [3], Uint8Array.of(1, 0, 1).buffer),
    ],
  }),
  of('ReverseSequence', 4, ['is reversed up to a length'], {
    nodes: [node('ReverseSequence', ['x', 'lengths'], ['y'])],
    initializers: [random('x', [3, 2, 4]), integers('lengths', [3, 2])],
  }),
];
