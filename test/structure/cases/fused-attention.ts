import type { NodeProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { type AttributeValue, node } from '../../models/build-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { int32, of, type RuleCase, random, TIED } from './rule-case.ts';

const NORMALIZED = 'is normalized over';
const MASKED = 'is masked by numbers of its own';
const PLACE = 'is a place in a sequence';
const CACHE = 'is an axis of a cache of keys and values';
const SHARED = 'is a width that keys and values share';
const EIGHTS = 'is a width that the operator takes in multiples of 8';

const fused = (
  op: string,
  input: string[],
  output: string[],
  attributes: Record<string, AttributeValue>,
): NodeProto => node(op, input, output, attributes, MICROSOFT);

export const FUSED_ATTENTION_CASES: readonly RuleCase[] = [
  of('Attention of merged weights', 14, [NORMALIZED], {
    nodes: [fused('Attention', ['x', 'w', 'b'], ['y'], { num_heads: 2 })],
    initializers: [random('x', [2, 5, 4]), random('w', [4, 18]), random('b', [18])],
  }),
  of(
    'Attention of merged weights, of two widths, masked and with something added',
    11,
    [MASKED, NORMALIZED, TIED],
    {
      nodes: [
        fused('Attention', ['x', 'w', 'b', 'm', '', 'add'], ['y'], {
          ...{ num_heads: 3, qkv_hidden_sizes: [6, 6, 9], unidirectional: 1 },
        }),
      ],
      initializers: [
        ...[random('x', [2, 4, 3]), random('w', [3, 21]), random('b', [21])],
        ...[int32('m', [4, 3]), random('add', [1, 3, 4, 4])],
      ],
    },
  ),
  of('Attention of merged weights with a cache', 8, [CACHE, NORMALIZED, 'tells keys from values'], {
    nodes: [
      fused('Attention', ['x', 'w', 'b', '', 'past'], ['y', 'present'], {
        num_heads: 2,
        scale: { float: 0.5 },
      }),
    ],
    outputs: ['y', 'present'],
    initializers: [
      ...[random('x', [2, 3, 4]), random('w', [4, 24]), random('b', [24]), random('past', [2, 2, 2, 3, 4])],
    ],
  }),
  of('MultiHeadAttention with a bias', 22, [NORMALIZED], {
    nodes: [fused('MultiHeadAttention', ['q', 'k', 'v', 'b'], ['y'], { num_heads: 2 })],
    initializers: [
      ...[random('q', [2, 4, 16]), random('k', [2, 5, 16]), random('v', [2, 5, 12]), random('b', [44])],
    ],
  }),
  of('MultiHeadAttention masked, with something added and a cache', 3, [CACHE, MASKED, NORMALIZED, TIED], {
    nodes: [
      fused(
        'MultiHeadAttention',
        ['q', 'k', 'v', '', 'm', 'add', 'past_k', 'past_v'],
        ['y', 'present_k', 'present_v'],
        { num_heads: 3 },
      ),
    ],
    outputs: ['y', 'present_k', 'present_v'],
    initializers: [
      ...[random('q', [2, 4, 12]), random('k', [2, 4, 12]), random('v', [2, 4, 12])],
      ...[int32('m', [4, 3]), random('add', [2, 3, 4, 6])],
      ...[random('past_k', [2, 3, 2, 4]), random('past_v', [2, 3, 2, 4])],
    ],
  }),
  of('MultiHeadAttention of keys and values by head', 4, [PLACE, SHARED, NORMALIZED], {
    nodes: [fused('MultiHeadAttention', ['q', 'k', 'v'], ['y'], { num_heads: 2, unidirectional: 1 })],
    initializers: [random('q', [2, 4, 6]), random('k', [2, 2, 4, 3]), random('v', [2, 2, 4, 3])],
  }),
  of(
    'GroupQueryAttention with angles, something added and sinks, in one value',
    5,
    [PLACE, EIGHTS, NORMALIZED, 'is of all heads', TIED],
    {
      nodes: [
        fused(
          'GroupQueryAttention',
          ['qkv', '', '', '', '', 'lengths', 'total', 'cos', 'sin', '', 'add', 'sink'],
          ['y', 'present_k', 'present_v'],
          { num_heads: 6, kv_num_heads: 3, do_rotary: 1 },
        ),
      ],
      outputs: ['y', 'present_k', 'present_v'],
      initializers: [
        ...[random('qkv', [2, 4, 192]), random('cos', [4, 8]), random('sin', [4, 8])],
        ...[random('add', [1, 6, 4, 4]), random('sink', [6])],
        ...[int32('lengths', [3, 3]), int32('total', [4])],
      ],
    },
  ),
  of('GroupQueryAttention', 5, [PLACE, EIGHTS, CACHE, NORMALIZED], {
    nodes: [
      fused(
        'GroupQueryAttention',
        ['q', 'k', 'v', 'past_k', 'past_v', 'lengths', 'total'],
        ['y', 'present_k', 'present_v'],
        { num_heads: 6, kv_num_heads: 2 },
      ),
    ],
    outputs: ['y', 'present_k', 'present_v'],
    initializers: [
      ...[random('q', [2, 1, 48]), random('k', [2, 1, 16]), random('v', [2, 1, 16])],
      ...[random('past_k', [2, 2, 3, 8]), random('past_v', [2, 2, 3, 8])],
      ...[int32('lengths', [3, 3]), int32('total', [4])],
    ],
  }),
];
