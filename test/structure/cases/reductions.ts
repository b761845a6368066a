import { integers, node } from '../../models/build-model.ts';
import { of, type RuleCase, random, SPATIAL } from './rule-case.ts';

export const REDUCTIONS_CASES: readonly RuleCase[] = [
  of('ReduceSum', 9, [], {
    nodes: [node('ReduceSum', ['x', 'axes'], ['s'], { keepdims: 0 }), node('Relu', ['s'], ['y'])],
    initializers: [random('x', [2, 3, 4]), integers('axes', [-2])],
  }),
  of('ReduceL2 with its axes in an attribute', 9, [], {
    nodes: [node('ReduceL2', ['x'], ['s'], { axes: [1] }), node('Relu', ['s'], ['y'])],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('ReduceSum over nothing', 9, [], {
    nodes: [node('ReduceSum', ['x'], ['y'], { noop_with_empty_axes: 1 })],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('ReduceMean', 6, ['is reduced over, and the result depends on how many there are'], {
    nodes: [node('ReduceMean', ['x'], ['y'], { axes: [1] })],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('ReduceMax over all', 0, ['is reduced over, and the result depends on how many there are'], {
    nodes: [node('ReduceMax', ['x'], ['y'])],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('MaxPool', 5, [SPATIAL], {
    nodes: [node('MaxPool', ['x'], ['y'], { kernel_shape: [2, 2] })],
    initializers: [random('x', [2, 3, 4, 4])],
  }),
  of('MaxPool with indices', 0, [SPATIAL, 'is counted through by indices'], {
    nodes: [node('MaxPool', ['x'], ['p', 'i'], { kernel_shape: [2, 2] })],
    outputs: ['p', 'i'],
    initializers: [random('x', [2, 3, 4, 4])],
  }),
  of('GlobalAveragePool', 5, [SPATIAL], {
    nodes: [node('GlobalAveragePool', ['x'], ['y'])],
    initializers: [random('x', [2, 3, 4, 4])],
  }),
  of('ArgMax', 27, ['has positions that are the result'], {
    nodes: [node('ArgMax', ['x'], ['y'], { axis: 1, keepdims: 0 })],
    initializers: [random('x', [2, 3, 25])],
  }),
  of('TopK', 6, ['has positions that are the result'], {
    nodes: [node('TopK', ['x', 'k'], ['v', 'i'], { axis: 1 })],
    outputs: ['v', 'i'],
    initializers: [random('x', [2, 3, 4]), integers('k', [2])],
  }),
  of('CumSum', 6, ['is summed up in order'], {
    nodes: [node('CumSum', ['x', 'axis'], ['y'])],
    initializers: [random('x', [2, 3, 4]), integers('axis', [1], [])],
  }),
  of('Trilu', 2, ['has a triangle taken of it'], {
    nodes: [node('Trilu', ['x'], ['y'])],
    initializers: [random('x', [2, 3, 4])],
  }),
];
