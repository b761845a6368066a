import { TensorProto_DataType } from '../../../src/formats/onnx/onnx-schema.ts';
import { floats, node } from '../../models/build-model.ts';
import { of, type RuleCase, random, STATISTICS, typed, uint8 } from './rule-case.ts';

export const NORMS_CASES: readonly RuleCase[] = [
  of('BatchNormalization', 9, [], {
    nodes: [node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['n']), node('Relu', ['n'], ['y'])],
    initializers: [
      random('x', [2, 4, 3]),
      ...['s', 'b', 'm'].map((name) => random(name, [4])),
      floats('v', [4]),
    ],
  }),
  of('BatchNormalization in training', 4, [STATISTICS], {
    nodes: [
      node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['n', 'mean', 'variance'], { training_mode: 1 }),
      node('Add', ['mean', 'variance'], ['y']),
    ],
    outputs: ['n', 'y'],
    initializers: [
      random('x', [2, 4, 3]),
      ...['s', 'b', 'm'].map((name) => random(name, [4])),
      floats('v', [4]),
    ],
  }),
  of('InstanceNormalization', 6, [STATISTICS], {
    nodes: [node('InstanceNormalization', ['x', 's', 'b'], ['y'])],
    initializers: [random('x', [2, 4, 3]), random('s', [4]), random('b', [4])],
  }),
  of('LayerNormalization, its mean and deviation', 5, [STATISTICS], {
    nodes: [
      node('LayerNormalization', ['x', 's', 'b'], ['n', 'mean', 'deviation']),
      node('Add', ['mean', 'deviation'], ['y']),
    ],
    outputs: ['n', 'y'],
    initializers: [random('x', [2, 3, 4]), random('s', [4]), random('b', [4])],
  }),
  of('GroupNormalization with a scale a channel', 5, [STATISTICS], {
    opset: 21,
    nodes: [node('GroupNormalization', ['x', 's', 'b'], ['y'], { num_groups: 3 })],
    initializers: [random('x', [2, 6, 3]), random('s', [6]), random('b', [6])],
  }),
  of('GroupNormalization with a scale a group', 5, [STATISTICS], {
    opset: 18,
    nodes: [node('GroupNormalization', ['x', 's', 'b'], ['y'], { num_groups: 3 })],
    initializers: [random('x', [2, 6, 3]), random('s', [3]), random('b', [3])],
  }),
  of('GroupNormalization with a group a channel', 6, [STATISTICS], {
    opset: 18,
    nodes: [node('GroupNormalization', ['x', 's', 'b'], ['y'], { num_groups: 4 })],
    initializers: [random('x', [2, 4, 3]), random('s', [4]), random('b', [4])],
  }),
  of('GroupNormalization of one group', 2, [STATISTICS], {
    opset: 21,
    nodes: [node('GroupNormalization', ['x', 's', 'b'], ['y'], { num_groups: 1 })],
    initializers: [random('x', [2, 4, 3]), random('s', [4]), random('b', [4])],
  }),
  of('LRN', 8, ['is normalized across neighbouring channels'], {
    nodes: [node('LRN', ['x'], ['y'], { size: 3 })],
    initializers: [random('x', [2, 4, 3, 3])],
  }),
  of('Softmax', 5, ['is normalized over'], {
    nodes: [node('Softmax', ['x'], ['y'], { axis: -1 })],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('Softmax before version 13', 2, ['is normalized over'], {
    opset: 11,
    nodes: [node('Softmax', ['x'], ['y'])],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('LpNormalization', 6, [STATISTICS], {
    nodes: [node('LpNormalization', ['x'], ['y'], { axis: 1 })],
    initializers: [random('x', [2, 3, 4])],
  }),
  of('MeanVarianceNormalization', 3, [STATISTICS], {
    nodes: [node('MeanVarianceNormalization', ['x'], ['y'])],
    initializers: [random('x', [2, 3, 4, 2])],
  }),
  of('DequantizeLinear with a scale a channel', 9, [], {
    nodes: [
      node('QuantizeLinear', ['x', 's', 'z'], ['q']),
      node('DequantizeLinear', ['q', 's', 'zero'], ['y']),
    ],
    initializers: [
      random('x', [2, 4, 3]),
      floats('s', [4]),
      uint8('z', [9, 8, 7, 6]),
      uint8('zero', [9, 8, 7, 6]),
    ],
  }),
  of('DequantizeLinear with a scale a block', 5, [], {
    opset: 21,
    nodes: [node('DequantizeLinear', ['q', 's'], ['y'], { axis: 0, block_size: 2 })],
    initializers: [
      typed('q', TensorProto_DataType.UINT8, [4, 3], Uint8Array.from({ length: 12 }, (_, i) => i).buffer),
      floats('s', [2, 3]),
    ],
  }),
];
