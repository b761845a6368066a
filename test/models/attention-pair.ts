import type { NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random, scalar } from '../structure/cases/rule-case.ts';
import { integers, node } from './build-model.ts';
import { MICROSOFT } from './traced-model.ts';

/** softmax(Q K' / 2) V of 4 heads that are 4 wide, from values whose names end in `end`. */
const attended = (end: string): NodeProto[] => [
  ...['q', 'k', 'v'].flatMap((name) => [
    node('Reshape', [`${name}${end}`, 'by_head'], [`${name}${end}_split`]),
    node('Transpose', [`${name}${end}_split`], [`${name}${end}_heads`], {
      perm: name === 'k' ? [0, 2, 3, 1] : [0, 2, 1, 3],
    }),
  ]),
  node('MatMul', [`q${end}_heads`, `k${end}_heads`], [`products${end}`]),
  node('Mul', [`products${end}`, 'half'], [`scores${end}`]),
  node('Softmax', [`scores${end}`], [`shares${end}`], { axis: -1 }),
  node('MatMul', [`shares${end}`, `v${end}_heads`], [`mixed${end}`]),
  node('Transpose', [`mixed${end}`], [`back${end}`], { perm: [0, 2, 1, 3] }),
  node('Reshape', [`back${end}`, 'flat'], [`o${end}`]),
];

const before = [node('MatMul', ['x', 'w_in'], ['h']), node('Relu', ['h'], ['r'])];
const between = [
  node('MatMul', ['o1', 'w_o'], ['m']),
  node('Add', ['m', 'b_o'], ['a']),
  node('MatMul', ['a', 'w_q'], ['q2']),
  node('MatMul', ['a', 'w_k'], ['k2']),
  node('MatMul', ['a', 'w_v'], ['v2']),
];
const after = [node('MatMul', ['o2', 'w_y'], ['y'])];

/** One network with attention in single operators, and in standard ones. */
export const ATTENTION_PAIR = {
  shape: [5, 6],
  fused: [
    ...before,
    node('Attention', ['r', 'w', 'b'], ['o1'], { num_heads: 4 }, MICROSOFT),
    ...between,
    node('MultiHeadAttention', ['q2', 'k2', 'v2'], ['o2'], { num_heads: 4 }, MICROSOFT),
    ...after,
  ],
  plain: [
    ...before,
    node('MatMul', ['r', 'w'], ['product']),
    node('Add', ['product', 'b'], ['sum']),
    node('Split', ['sum', 'parts'], ['q1', 'k1', 'v1'], { axis: -1 }),
    ...attended('1'),
    ...between,
    ...attended('2'),
    ...after,
  ],
  initializers: [
    ...[random('w_in', [6, 10]), random('w', [10, 48]), random('b', [48]), random('w_o', [16, 12])],
    ...[random('b_o', [12]), random('w_q', [12, 16]), random('w_k', [12, 16]), random('w_v', [12, 16])],
    random('w_y', [16, 3]),
  ],
  constants: [
    ...[scalar('half', 0.5), integers('parts', [16, 16, 16])],
    ...[integers('by_head', [0, 0, 4, 4]), integers('flat', [0, 0, 16])],
  ],
};
