import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { elementCount } from '../../../src/formats/model.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataType,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { expandAttention } from '../../../src/graph/passes/take-apart.ts';
import { integers, node } from '../../models/build-model.ts';
import { assertNear } from '../../models/model-pair.ts';
import { weights } from '../../models/runtime-model.ts';
import { build, MICROSOFT, type Parts } from '../../models/traced-model.ts';
import { ATTENTION_CASES } from '../../structure/cases/attention.ts';
import { FUSED_ATTENTION_CASES } from '../../structure/cases/fused-attention.ts';
import { int32, random, typed } from '../../structure/cases/rule-case.ts';
import { outputsOf } from './pass-check.ts';

const WHOLE = /Attention|RotaryEmbedding/;

function expanded(model: ModelProto): ModelProto {
  const proto = clone(ModelProtoSchema, model);
  expandAttention(proto);
  return proto;
}

const leftOf = ({ graph }: ModelProto) =>
  (graph?.node ?? []).map(({ opType }) => opType).filter((op) => WHOLE.test(op));

/** Whether no operator is left, and what came out comes out still. */
async function check(model: ModelProto): Promise<void> {
  const apart = expanded(model);
  assert.deepEqual(leftOf(apart), []);
  const [expected, found] = [await outputsOf(model), await outputsOf(apart)];
  for (const [name, { shape, data }] of expected) {
    assert.deepEqual(found.get(name)?.shape, shape);
    assertNear(found.get(name)?.data as Float32Array, data as Float32Array, 2e-5, name);
  }
}

/** A graph of stored tensors alone. */
function stored(parts: Omit<Parts, 'inputs'>): ModelProto {
  return build({ inputs: [], opset: 23, ...parts });
}

const fused = (op: string, inputs: string[], attributes: Parameters<typeof node>[3]) =>
  node(op, inputs, ['y'], attributes, MICROSOFT);

/** Of ones but for some zeros. */
const mask = (name: string, dims: number[], zeros: number[], type: 'INT32' | 'BOOL'): TensorProto => {
  const numbers = Array.from({ length: elementCount(dims) }, (_, i) => Number(!zeros.includes(i)));
  const array = type === 'BOOL' ? Uint8Array.from(numbers) : Int32Array.from(numbers);
  return typed(name, TensorProto_DataType[type], dims, array.buffer);
};

const SEPARATE = [random('q', [2, 4, 6]), random('k', [2, 5, 6]), random('v', [2, 5, 9])];
const MERGED = [random('x', [2, 4, 5]), random('w', [5, 18]), random('b', [18])];

const CASES: readonly (Omit<Parts, 'inputs'> & { readonly name: string })[] = [
  {
    name: 'Attention with a mask of booleans, of which one leaves nothing',
    nodes: [node('Attention', ['q', 'k', 'v', 'm'], ['y'], { q_num_heads: 3, kv_num_heads: 3 })],
    initializers: [...SEPARATE, mask('m', [1, 4, 5], [0, 3, 5, 6, 7, 8, 9, 13], 'BOOL')],
  },
  {
    name: 'Attention with a mask of samples, that is causal and gives its weights',
    nodes: [
      node('Attention', ['q', 'k', 'v', 'm'], ['y', '', '', 'p'], {
        ...{ q_num_heads: 3, kv_num_heads: 3, is_causal: 1, qk_matmul_output_mode: 3 },
      }),
    ],
    outputs: ['y', 'p'],
    initializers: [...SEPARATE, mask('m', [2, 1, 4, 5], [1, 22], 'BOOL')],
  },
  {
    name: 'Attention with a softcap, that gives what is capped',
    nodes: [
      node('Attention', ['q', 'k', 'v'], ['y', '', '', 'p'], {
        ...{ q_num_heads: 3, kv_num_heads: 3, softcap: { float: 0.4 }, qk_matmul_output_mode: 1 },
      }),
    ],
    outputs: ['y', 'p'],
    initializers: SEPARATE,
  },
  {
    name: 'Attention to the first of keys and values, however many there are',
    opset: 24,
    nodes: [node('Attention', ['q', 'k', 'v', '', '', '', 'n'], ['y'], { q_num_heads: 3, kv_num_heads: 3 })],
    initializers: [...SEPARATE, integers('n', [3, 5])],
  },
  {
    name: 'Attention to lengths, in order from the end',
    opset: 24,
    nodes: [
      node('Attention', ['q', 'k', 'v', '', '', '', 'n'], ['y'], {
        ...{ q_num_heads: 3, kv_num_heads: 3, is_causal: 1 },
      }),
    ],
    initializers: [...SEPARATE, integers('n', [3, 5])],
  },
  {
    name: 'Attention with something added that leaves nothing',
    nodes: [node('Attention', ['q', 'k', 'v', 'm'], ['y'], { q_num_heads: 3, kv_num_heads: 3 })],
    initializers: [
      ...SEPARATE,
      weights(
        'm',
        [4, 5],
        Array.from({ length: 20 }, (_, i) => (i < 5 ? Number.NEGATIVE_INFINITY : i / 20)),
      ),
    ],
  },
  ...(
    [
      ['of keys', [2, 4], [3, 4], {}],
      ['of queries and keys', [2, 4, 4], [1, 2, 3, 17], { mask_filter_value: { float: -50 } }],
      ['of keys, one way', [2, 4], [1], { unidirectional: 1 }],
    ] as const
  ).map(([what, dims, zeros, attributes]) => ({
    name: `Attention of merged weights with a mask ${what}`,
    opset: 17,
    nodes: [fused('Attention', ['x', 'w', 'b', 'm'], { num_heads: 3, ...attributes })],
    initializers: [...MERGED, mask('m', [...dims], [...zeros], 'INT32')],
  })),
  {
    name: 'Attention of merged weights with ends and starts',
    opset: 17,
    nodes: [fused('Attention', ['x', 'w', 'b', 'm'], { num_heads: 3 })],
    initializers: [...MERGED, int32('m', [4, 3, 1, 0])],
  },
  {
    name: 'MultiHeadAttention with a mask of keys, a scale, and something added',
    opset: 17,
    nodes: [
      fused('MultiHeadAttention', ['q', 'k', 'v', 'b', 'm', 'add'], {
        ...{ num_heads: 3, scale: { float: 0.7 } },
      }),
    ],
    initializers: [
      ...[...SEPARATE, random('b', [21]), random('add', [1, 3, 4, 5])],
      mask('m', [2, 5], [4, 8, 9], 'INT32'),
    ],
  },
  {
    name: 'MultiHeadAttention one way',
    opset: 17,
    nodes: [fused('MultiHeadAttention', ['q', 'k', 'v'], { num_heads: 3, unidirectional: 1 })],
    initializers: SEPARATE,
  },
  {
    name: 'RotaryEmbedding of a part, side by side, with angles for every sample',
    nodes: [node('RotaryEmbedding', ['x', 'cos', 'sin'], ['y'], { num_heads: 2, rotary_embedding_dim: 4 })],
    initializers: [random('x', [2, 3, 12]), random('cos', [2, 3, 2]), random('sin', [2, 3, 2])],
  },
];

describe('expandAttention gives what the operator gave', () => {
  for (const { name, model } of [...ATTENTION_CASES, ...FUSED_ATTENTION_CASES]) {
    const isExpanded = !/TensorScatter|Group|fed/.test(name);
    if (isExpanded) test(name, () => check(model));
  }
  for (const { name, ...parts } of CASES) test(name, () => check(stored(parts)));
});
