import { floats, integers, node } from '../../models/build-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { KERNEL, of, type RuleCase, random, SPATIAL, STATISTICS, TIED } from './rule-case.ts';

type Attributes = Parameters<typeof node>[3];

const fused = (op: string, inputs: string[], outputs: string[], attributes: Attributes = {}) =>
  node(op, inputs, outputs, attributes, MICROSOFT);

export const FUSED_CASES: readonly RuleCase[] = [
  of('FusedConv', 11, [KERNEL, SPATIAL], {
    nodes: [fused('FusedConv', ['x', 'w', 'b'], ['y'], { activation: 'Relu' })],
    initializers: [random('x', [2, 3, 5, 5]), random('w', [6, 3, 3, 3]), random('b', [6])],
  }),
  of('FusedConv of a sum', 11, [KERNEL, SPATIAL, TIED], {
    nodes: [fused('FusedConv', ['x', 'w', '', 'z'], ['y'], { activation: 'Tanh', pads: [1, 1, 1, 1] })],
    initializers: [random('x', [2, 3, 5, 5]), random('w', [6, 3, 3, 3]), random('z', [2, 6, 5, 5])],
  }),
  of('FusedConv in groups', 15, [KERNEL, SPATIAL], {
    nodes: [fused('FusedConv', ['x', 'w', 'b'], ['y'], { group: 3, activation: 'Sigmoid' })],
    initializers: [random('x', [2, 12, 3, 3]), random('w', [18, 4, 2, 2]), random('b', [18])],
  }),
  of('FusedGemm', 12, [], {
    nodes: [
      fused('FusedGemm', ['a', 'b', 'c'], ['y'], {
        transB: 1,
        alpha: { float: 0.5 },
        beta: { float: 2 },
        activation: 'LeakyRelu',
        activation_alpha: { float: 0.2 },
      }),
    ],
    initializers: [random('a', [3, 4]), random('b', [5, 4]), random('c', [5])],
  }),
  of('FusedMatMul', 20, [], {
    nodes: [fused('FusedMatMul', ['a', 'b'], ['y'], { alpha: { float: 0.5 } })],
    initializers: [random('a', [2, 1, 3, 4]), random('b', [5, 4, 6])],
  }),
  of('FusedMatMul transposed', 20, [], {
    nodes: [fused('FusedMatMul', ['a', 'b'], ['y'], { transA: 1, transB: 1 })],
    initializers: [random('a', [2, 5, 4, 3]), random('b', [2, 5, 6, 4])],
  }),
  of('FusedMatMul of batches that stand within, transposed', 20, [], {
    nodes: [
      fused('FusedMatMul', ['a', 'b'], ['y'], { transBatchA: 1, transBatchB: 1, transA: 1, transB: 1 }),
    ],
    initializers: [random('a', [4, 2, 5, 3]), random('b', [6, 2, 5, 4])],
  }),
  of('FusedMatMul of vectors, which are not transposed', 9, [], {
    nodes: [
      fused('FusedMatMul', ['v', 'a'], ['va'], { transA: 1 }),
      fused('FusedMatMul', ['va', 'w'], ['s'], { transA: 1, transB: 1 }),
      node('Add', ['va', 's'], ['y']),
    ],
    initializers: [random('v', [4]), random('a', [4, 5]), random('w', [5])],
  }),
  of('TransposeMatMul', 12, [], {
    nodes: [fused('TransposeMatMul', ['a', 'b'], ['y'], { transB: 1 })],
    initializers: [random('a', [3, 4]), random('b', [5, 4])],
  }),
  ...(
    [
      ['BiasGelu', ['x', 'b']],
      ['FastGelu', ['x', 'b']],
      ['Gelu', ['x']],
      ['QuickGelu', ['x']],
    ] as const
  ).map(([op, inputs]) =>
    of(op, 9, [], {
      nodes: [fused(op, [...inputs], ['y'])],
      initializers: [random('x', [2, 3, 4]), ...(inputs.length > 1 ? [random('b', [4])] : [])],
    }),
  ),
  of('SkipLayerNormalization', 5, [STATISTICS], {
    nodes: [fused('SkipLayerNormalization', ['x', 'skip', 's', 'b', 'bias'], ['y', '', '', 'sum'])],
    outputs: ['y', 'sum'],
    initializers: [
      random('x', [2, 3, 4]),
      random('skip', [3, 4]),
      ...['s', 'b', 'bias'].map((name) => random(name, [4])),
    ],
  }),
  of('SkipSimplifiedLayerNormalization', 5, [STATISTICS], {
    nodes: [fused('SkipSimplifiedLayerNormalization', ['x', 'skip', 's', 'bias'], ['y', '', '', 'sum'])],
    outputs: ['y', 'sum'],
    initializers: [
      random('x', [2, 3, 4]),
      random('skip', [2, 3, 4]),
      ...['s', 'bias'].map((name) => random(name, [4])),
    ],
  }),
  of('EmbedLayerNormalization', 0, ['is looked up by index and normalized'], {
    nodes: [fused('EmbedLayerNormalization', ['i', '', 'words', 'places', '', 's', 'b'], ['y', ''])],
    initializers: [
      { ...integers('i', [1, 0, 2, 4], [2, 2]), dataType: 6, int64Data: [], int32Data: [1, 0, 2, 4] },
      random('words', [5, 4]),
      random('places', [3, 4]),
      floats('s', [4]),
      floats('b', [4]),
    ],
  }),
];
