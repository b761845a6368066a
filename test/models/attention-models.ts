import { int32, random } from '../structure/cases/rule-case.ts';
import { integers, node } from './build-model.ts';
import { INPUT, OUTPUT, type SmallModel } from './small-models.ts';
import { build, MICROSOFT } from './traced-model.ts';

const CACHE = 'is an axis of a cache of keys and values';
const TOKENS: [string, (number | string)[]] = ['x', ['batch', 'sequence', 12]];

/** Queries, keys and values of what `input` holds, from weights of their own. */
const projections = (input: string, context = input) => [
  node('MatMul', [input, 'wq'], ['q']),
  node('MatMul', [context, 'wk'], ['k']),
  node('MatMul', [context, 'wv'], ['v']),
];

const weightsOf = (inputs: number, query: number, key: number, value = key) => [
  ...[random('wq', [inputs, query]), random('wk', [inputs, key]), random('wv', [inputs, value])],
];

/** `[batch, sequence, heads * width]` as `[batch, heads, sequence, width]`. */
const apart = (input: string, output: string, shape: string) => [
  node('Reshape', [input, shape], [`${output}_split`]),
  node('Transpose', [`${output}_split`], [output], { perm: [0, 2, 1, 3] }),
];

/** Models that hold attention in a single operator. */
export const ATTENTION_MODELS: readonly SmallModel[] = [
  {
    name: 'Attention of heads side by side, between layers',
    families: ['head 4', 'head_width 8', 'head_width 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      opset: 23,
      inputs: [TOKENS],
      nodes: [
        ...projections('x'),
        node('Attention', ['q', 'k', 'v'], ['o'], { q_num_heads: 4, kv_num_heads: 4 }),
        node('MatMul', ['o', 'wo'], ['y']),
      ],
      initializers: [...weightsOf(12, 32, 32, 24), random('wo', [24, 5])],
    }),
  },
  {
    name: 'a causal decoder of grouped heads apart, turned by their places',
    families: ['head 2', 'head 3', 'head_width 4', 'head_width 8', 'channel 10'],
    frozen: [`Add: ${INPUT}`, `MatMul: ${INPUT}`],
    model: build({
      opset: 24,
      inputs: [TOKENS, ['ids', ['batch', 'sequence'], 'INT64'], ['mask', ['sequence', 'sequence'], 'BOOL']],
      nodes: [
        node('RMSNormalization', ['x', 'scale'], ['n']),
        ...projections('n'),
        ...apart('q', 'queries', 'query_shape'),
        ...apart('k', 'keys', 'key_shape'),
        ...apart('v', 'values', 'key_shape'),
        node('RotaryEmbedding', ['queries', 'cos', 'sin', 'ids'], ['tq']),
        node('RotaryEmbedding', ['keys', 'cos', 'sin', 'ids'], ['tk']),
        node('Attention', ['tq', 'tk', 'values', 'mask'], ['o'], { is_causal: 1 }),
        node('Transpose', ['o'], ['back'], { perm: [0, 2, 1, 3] }),
        node('Reshape', ['back', 'whole'], ['joined']),
        node('MatMul', ['joined', 'wo'], ['attended']),
        node('Add', ['x', 'attended'], ['middle']),
        node('MatMul', ['middle', 'up'], ['u']),
        node('Swish', ['u'], ['s']),
        node('MatMul', ['s', 'down'], ['d']),
        node('Add', ['middle', 'd'], ['y']),
      ],
      initializers: [
        ...weightsOf(12, 48, 16),
        ...[random('scale', [12]), random('wo', [48, 12]), random('up', [12, 10]), random('down', [10, 12])],
        ...[random('cos', [8, 4]), random('sin', [8, 4])],
        ...[integers('query_shape', [0, 0, 6, 8]), integers('key_shape', [0, 0, 2, 8])],
        integers('whole', [0, 0, -1]),
      ],
    }),
  },
  {
    name: 'heads of queries that share one of keys and values, with a cache that goes in and out',
    families: ['head 6'],
    frozen: [`Attention: ${CACHE}`, OUTPUT, `MatMul: ${INPUT}`].sort(),
    model: build({
      opset: 23,
      inputs: [
        TOKENS,
        ['past_key', ['batch', 1, 'past', 4]],
        ['past_value', ['batch', 1, 'past', 4]],
        ['mask', ['batch', 1, 'sequence', 'past + sequence']],
      ],
      nodes: [
        ...projections('x'),
        node(
          'Attention',
          ['q', 'k', 'v', 'mask', 'past_key', 'past_value'],
          ['o', 'present_key', 'present_value'],
          { q_num_heads: 6, kv_num_heads: 1, is_causal: 1 },
        ),
        node('MatMul', ['o', 'wo'], ['y']),
      ],
      outputs: ['y', 'present_key', 'present_value'],
      initializers: [...weightsOf(12, 24, 4), random('wo', [24, 5])],
    }),
  },
  {
    name: 'a cache that is written to, and read up to a length',
    families: ['head 2'],
    frozen: [OUTPUT, `Attention: ${INPUT}`, `MatMul: ${INPUT}`, `TensorScatter: ${INPUT}`],
    model: build({
      opset: 24,
      inputs: [
        TOKENS,
        ['key_cache', ['batch', 3, 64, 4]],
        ['value_cache', ['batch', 3, 64, 4]],
        ['at', ['batch'], 'INT64'],
      ],
      nodes: [
        ...projections('x'),
        ...apart('q', 'queries', 'query_shape'),
        ...apart('k', 'keys', 'key_shape'),
        ...apart('v', 'values', 'key_shape'),
        node('TensorScatter', ['key_cache', 'keys', 'at'], ['new_keys']),
        node('TensorScatter', ['value_cache', 'values', 'at'], ['new_values']),
        node('Shape', ['x'], ['length'], { start: 1, end: 2 }),
        node('Add', ['at', 'length'], ['lengths']),
        node('Attention', ['queries', 'new_keys', 'new_values', '', '', '', 'lengths'], ['o']),
        node('Transpose', ['o'], ['back'], { perm: [0, 2, 1, 3] }),
        node('Reshape', ['back', 'whole'], ['joined']),
        node('MatMul', ['joined', 'wo'], ['y']),
      ],
      outputs: ['y', 'new_keys', 'new_values'],
      initializers: [
        ...[...weightsOf(12, 24, 12), random('wo', [24, 5]), integers('whole', [0, 0, -1])],
        ...[integers('query_shape', [0, 0, 6, 4]), integers('key_shape', [0, 0, 3, 4])],
      ],
    }),
  },
  {
    name: 'merged attention, as an optimizer leaves it, after a layer',
    families: ['channel 8', 'head 3', 'head_width 4', 'head_width 4'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [TOKENS, ['mask', ['batch', 'sequence'], 'INT32']],
      nodes: [
        node('MatMul', ['x', 'first'], ['f']),
        node('Relu', ['f'], ['h']),
        node('Attention', ['h', 'w', 'b', 'mask'], ['o'], { num_heads: 3 }, MICROSOFT),
        node('MatMul', ['o', 'wo'], ['y']),
      ],
      initializers: [
        ...[random('first', [12, 8]), random('w', [8, 36]), random('b', [36]), random('wo', [12, 5])],
      ],
    }),
  },
  {
    name: 'attention to another sequence, with a bias of three parts',
    families: ['head 4', 'head_width 8', 'head_width 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [TOKENS, ['context', ['batch', 'length', 12]], ['mask', ['batch', 'length'], 'INT32']],
      nodes: [
        ...projections('x', 'context'),
        node('MultiHeadAttention', ['q', 'k', 'v', 'b', 'mask'], ['o'], { num_heads: 4 }, MICROSOFT),
        node('MatMul', ['o', 'wo'], ['y']),
      ],
      initializers: [...weightsOf(12, 32, 32, 24), random('b', [88]), random('wo', [24, 5])],
    }),
  },
  {
    name: 'grouped heads with a cache and angles inside the operator: places in groups go',
    families: ['head 3'],
    frozen: [`GroupQueryAttention: ${CACHE}`, OUTPUT, `MatMul: ${INPUT}`].sort(),
    model: build({
      inputs: [
        ['x', ['batch', 1, 12]],
        ['past_key', ['batch', 2, 'past', 16]],
        ['past_value', ['batch', 2, 'past', 16]],
      ],
      nodes: [
        ...projections('x'),
        node('Shape', ['past_key'], ['past'], { start: 2, end: 3 }),
        node('Cast', ['past'], ['before'], { to: 6 }),
        node('Add', ['before', 'one'], ['total']),
        node('Shape', ['x'], ['batch'], { end: 1 }),
        node('Expand', ['before', 'batch'], ['lengths']),
        node(
          'GroupQueryAttention',
          ['q', 'k', 'v', 'past_key', 'past_value', 'lengths', 'total', 'cos', 'sin'],
          ['o', 'present_key', 'present_value'],
          { num_heads: 6, kv_num_heads: 2, do_rotary: 1 },
          MICROSOFT,
        ),
        node('MatMul', ['o', 'wo'], ['y']),
      ],
      outputs: ['y', 'present_key', 'present_value'],
      initializers: [
        ...[...weightsOf(12, 96, 32), random('wo', [96, 5]), int32('one', [1])],
        ...[random('cos', [256, 8]), random('sin', [256, 8])],
      ],
    }),
  },
];
