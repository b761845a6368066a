import { integers, node } from '../../models/build-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { of, type RuleCase, random, TIED } from './rule-case.ts';

const NORMALIZED = 'is normalized over';
const PLACE = 'is a place in a sequence';
const CACHE = 'is an axis of a cache of keys and values';
const INDEXED = 'is looked up by index';
const POSITION = 'has a position of its own';

export const ATTENTION_CASES: readonly RuleCase[] = [
  of('Attention of heads side by side', 17, [NORMALIZED], {
    opset: 23,
    nodes: [node('Attention', ['q', 'k', 'v'], ['y'], { q_num_heads: 2, kv_num_heads: 2 })],
    initializers: [random('q', [2, 3, 8]), random('k', [2, 5, 8]), random('v', [2, 5, 12])],
  }),
  of(
    'Attention of grouped heads that is causal, with a scale and a mask for every head',
    12,
    [PLACE, NORMALIZED, TIED],
    {
      opset: 23,
      nodes: [
        node('Attention', ['q', 'k', 'v', 'm'], ['y'], {
          ...{ q_num_heads: 6, kv_num_heads: 2, is_causal: 1 },
          ...{ scale: { float: 0.3 }, softcap: { float: 2 } },
        }),
      ],
      initializers: [
        ...[random('q', [2, 4, 12]), random('k', [2, 4, 4]), random('v', [2, 4, 6])],
        random('m', [2, 6, 4, 4]),
      ],
    },
  ),
  of('Attention of heads that share one of keys and values', 11, [NORMALIZED], {
    opset: 24,
    nodes: [node('Attention', ['q', 'k', 'v'], ['y'], { q_num_heads: 4, kv_num_heads: 1 })],
    initializers: [random('q', [1, 3, 8]), random('k', [1, 5, 2]), random('v', [1, 5, 2])],
  }),
  of('Attention of heads apart, with all that it can give', 16, [NORMALIZED, TIED], {
    opset: 23,
    nodes: [
      node('Attention', ['q', 'k', 'v', 'm'], ['y', 'present_k', 'present_v', 'qk'], {
        ...{ q_num_heads: 6, kv_num_heads: 3, qk_matmul_output_mode: 2 },
      }),
    ],
    outputs: ['y', 'present_k', 'present_v', 'qk'],
    initializers: [
      ...[random('q', [2, 6, 3, 4]), random('k', [2, 3, 5, 4]), random('v', [2, 3, 5, 2])],
      random('m', [3, 5]),
    ],
  }),
  of('Attention with a cache', 10, [CACHE, NORMALIZED], {
    opset: 23,
    nodes: [
      node('Attention', ['q', 'k', 'v', '', 'past_k', 'past_v'], ['y', 'present_k', 'present_v'], {
        ...{ q_num_heads: 6, kv_num_heads: 3 },
      }),
    ],
    outputs: ['y', 'present_k', 'present_v'],
    initializers: [
      ...[random('q', [2, 3, 12]), random('k', [2, 3, 6]), random('v', [2, 3, 9])],
      ...[random('past_k', [2, 3, 4, 2]), random('past_v', [2, 3, 4, 3])],
    ],
  }),
  of('Attention with a cache that is fed: only places in groups go', 2, [CACHE, TIED], {
    opset: 23,
    inputs: [
      ['past_k', ['batch', 2, 'past', 2]],
      ['past_v', ['batch', 2, 'past', 3]],
      ['x', ['batch', 4, 5]],
    ],
    nodes: [
      node('MatMul', ['x', 'wq'], ['q']),
      node('MatMul', ['x', 'wk'], ['k']),
      node('MatMul', ['x', 'wv'], ['v']),
      node('Attention', ['q', 'k', 'v', '', 'past_k', 'past_v'], ['y', 'present_k', 'present_v'], {
        ...{ q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
      }),
    ],
    initializers: [random('wq', [5, 8]), random('wk', [5, 4]), random('wv', [5, 6])],
  }),
  of(
    'Attention to sequences of lengths of their own',
    9,
    [PLACE, 'is a sequence of a length of its own', NORMALIZED],
    {
      opset: 24,
      nodes: [node('Attention', ['q', 'k', 'v', '', '', '', 'lengths'], ['y'], { is_causal: 1 })],
      initializers: [
        ...[random('q', [2, 3, 5, 4]), random('k', [2, 3, 5, 4]), random('v', [2, 3, 5, 2])],
        integers('lengths', [5, 5]),
      ],
    },
  ),
  of('RotaryEmbedding of heads side by side', 7, [POSITION, INDEXED], {
    opset: 23,
    nodes: [node('RotaryEmbedding', ['x', 'cos', 'sin', 'ids'], ['y'], { num_heads: 3 })],
    initializers: [
      ...[random('x', [2, 5, 24]), random('cos', [6, 4]), random('sin', [6, 4])],
      integers('ids', [0, 1, 2, 3, 4, 1, 2, 3, 4, 5], [2, 5]),
    ],
  }),
  of('RotaryEmbedding of a part of heads apart, in pairs side by side', 14, [], {
    opset: 23,
    nodes: [node('RotaryEmbedding', ['x', 'cos', 'sin'], ['y'], { interleaved: 1, rotary_embedding_dim: 4 })],
    initializers: [random('x', [2, 3, 5, 6]), random('cos', [2, 5, 2]), random('sin', [2, 5, 2])],
  }),
  of('RotaryEmbedding of onnxruntime, of whole heads side by side', 6, [POSITION, INDEXED], {
    nodes: [node('RotaryEmbedding', ['x', 'ids', 'cos', 'sin'], ['y'], {}, MICROSOFT)],
    initializers: [
      ...[random('x', [2, 5, 16]), random('cos', [6, 4]), random('sin', [6, 4])],
      integers('ids', [1]),
    ],
  }),
  of('RotaryEmbedding of onnxruntime, of a part of heads side by side', 9, [POSITION, INDEXED], {
    nodes: [
      node(
        'RotaryEmbedding',
        ['x', 'ids', 'cos', 'sin'],
        ['y'],
        { num_heads: 3, rotary_embedding_dim: 8 },
        MICROSOFT,
      ),
    ],
    initializers: [
      ...[random('x', [2, 5, 30]), random('cos', [6, 4]), random('sin', [6, 4])],
      integers('ids', [0, 1, 2, 3, 4, 1, 2, 3, 4, 5], [2, 5]),
    ],
  }),
  of('RotaryEmbedding of onnxruntime, of heads apart', 5, [POSITION, INDEXED], {
    nodes: [node('RotaryEmbedding', ['x', 'ids', 'cos', 'sin'], ['y'], { interleaved: 1 }, MICROSOFT)],
    initializers: [
      ...[random('x', [2, 2, 5, 6]), random('cos', [6, 3]), random('sin', [6, 3])],
      integers('ids', [1]),
    ],
  }),
  of('TensorScatter', 7, ['is written to by index'], {
    opset: 24,
    nodes: [node('TensorScatter', ['cache', 'update'], ['y'])],
    initializers: [random('cache', [2, 3, 5, 2]), random('update', [2, 3, 4, 2])],
  }),
  of(
    'TensorScatter of samples with indices of their own',
    5,
    ['is written to by index', 'is written to where its own index says'],
    {
      opset: 24,
      nodes: [node('TensorScatter', ['cache', 'update', 'indices'], ['y'], { axis: 1, mode: 'circular' })],
      initializers: [
        random('cache', [2, 4, 3, 2]),
        random('update', [2, 3, 3, 2]),
        integers('indices', [3, 0]),
      ],
    },
  ),
];
