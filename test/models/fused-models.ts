import type { ModelProto, NodeProto, TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random, scalar } from '../structure/cases/rule-case.ts';
import { ATTENTION_PAIR } from './attention-pair.ts';
import { integers, node } from './build-model.ts';
import { build, MICROSOFT } from './traced-model.ts';

type Attributes = Parameters<typeof node>[3];

const fused = (op: string, inputs: string[], outputs: string[], attributes: Attributes = {}) =>
  node(op, inputs, outputs, attributes, MICROSOFT);

/** One network as onnxruntime's optimizer saves it, and in standard operators. */
export interface FusedPair {
  readonly name: string;
  readonly fused: ModelProto;
  readonly plain: ModelProto;
  /** Of one sample. */
  readonly shape: readonly number[];
}

interface PairParts {
  readonly shape: readonly number[];
  readonly fused: NodeProto[];
  readonly plain: NodeProto[];
  readonly initializers: TensorProto[];
  /** That the standard operators alone read. */
  readonly constants?: TensorProto[];
}

function pair(name: string, { shape, fused, plain, initializers, constants = [] }: PairParts): FusedPair {
  const inputs: Parameters<typeof build>[0]['inputs'] = [['x', ['batch', ...shape]]];
  const parts = { inputs, opset: 20, outputs: ['y'] };
  return {
    name,
    shape,
    fused: build({ ...parts, nodes: fused, initializers }),
    plain: build({ ...parts, nodes: plain, initializers: [...initializers, ...constants] }),
  };
}

const PADS = { pads: [1, 1, 1, 1] };

const images = pair('convolutions with activations and a residual sum', {
  shape: [3, 6, 6],
  fused: [
    fused('FusedConv', ['x', 'k1', 'c1'], ['a'], { ...PADS, activation: 'Relu' }),
    fused('FusedConv', ['a', 'k2', 'c2', 'a'], ['b'], {
      ...PADS,
      activation: 'LeakyRelu',
      activation_params: { floats: [0.1] },
    }),
    fused('FusedConv', ['b', 'k3'], ['c'], {
      group: 2,
      activation: 'Clip',
      activation_params: { floats: [-0.5, 2] },
    }),
    node('GlobalAveragePool', ['c'], ['p']),
    node('Flatten', ['p'], ['f']),
    fused('FusedGemm', ['f', 'g1', 'd1'], ['e'], {
      transB: 1,
      alpha: { float: 0.5 },
      beta: { float: 2 },
      activation: 'Elu',
      activation_alpha: { float: 0.7 },
    }),
    node('Gemm', ['e', 'g2'], ['y']),
  ],
  plain: [
    node('Conv', ['x', 'k1', 'c1'], ['ka'], PADS),
    node('Relu', ['ka'], ['a']),
    node('Conv', ['a', 'k2', 'c2'], ['kb'], PADS),
    node('Add', ['kb', 'a'], ['sb']),
    node('LeakyRelu', ['sb'], ['b'], { alpha: { float: 0.1 } }),
    node('Conv', ['b', 'k3'], ['kc'], { group: 2 }),
    node('Clip', ['kc', 'least', 'most'], ['c']),
    node('GlobalAveragePool', ['c'], ['p']),
    node('Flatten', ['p'], ['f']),
    node('Gemm', ['f', 'g1', 'd1'], ['ge'], { transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } }),
    node('Elu', ['ge'], ['e'], { alpha: { float: 0.7 } }),
    node('Gemm', ['e', 'g2'], ['y']),
  ],
  initializers: [
    ...[random('k1', [8, 3, 3, 3]), random('c1', [8]), random('k2', [8, 8, 3, 3]), random('c2', [8])],
    ...[random('k3', [12, 4, 1, 1]), random('g1', [10, 12]), random('d1', [10]), random('g2', [10, 4])],
  ],
  constants: [scalar('least', -0.5), scalar('most', 2)],
});

const perceptron = pair('layers with the Gelus, and with weights that are transposed and scaled', {
  shape: [6],
  fused: [
    node('MatMul', ['x', 'w1'], ['m1']),
    fused('BiasGelu', ['m1', 'b1'], ['a']),
    node('MatMul', ['a', 'w2'], ['m2']),
    fused('FastGelu', ['m2', 'b2'], ['b']),
    node('MatMul', ['b', 'w3'], ['m3']),
    node('Add', ['m3', 'b3'], ['s3']),
    fused('QuickGelu', ['s3'], ['c'], { alpha: { float: 1.5 } }),
    fused('FusedMatMul', ['c', 'w4'], ['m4'], { transB: 1, alpha: { float: 0.5 } }),
    node('Add', ['m4', 'b4'], ['s4']),
    fused('Gelu', ['s4'], ['d']),
    node('MatMul', ['d', 'w5'], ['y']),
  ],
  plain: [
    node('MatMul', ['x', 'w1'], ['m1']),
    node('Add', ['m1', 'b1'], ['s1']),
    node('Gelu', ['s1'], ['a']),
    node('MatMul', ['a', 'w2'], ['m2']),
    node('Add', ['m2', 'b2'], ['s2']),
    node('Gelu', ['s2'], ['b'], { approximate: 'tanh' }),
    node('MatMul', ['b', 'w3'], ['m3']),
    node('Add', ['m3', 'b3'], ['s3']),
    node('Mul', ['s3', 'slope'], ['t3']),
    node('Sigmoid', ['t3'], ['g3']),
    node('Mul', ['s3', 'g3'], ['c']),
    node('Mul', ['c', 'half'], ['h']),
    node('Transpose', ['w4'], ['w4t'], { perm: [1, 0] }),
    node('MatMul', ['h', 'w4t'], ['m4']),
    node('Add', ['m4', 'b4'], ['s4']),
    node('Gelu', ['s4'], ['d']),
    node('MatMul', ['d', 'w5'], ['y']),
  ],
  initializers: [
    ...[random('w1', [6, 16]), random('b1', [16]), random('w2', [16, 12]), random('b2', [12])],
    ...[random('w3', [12, 14]), random('b3', [14]), random('w4', [10, 14]), random('b4', [10])],
    random('w5', [10, 3]),
  ],
  constants: [scalar('slope', 1.5), scalar('half', 0.5)],
});

const WIDTH = 16;
const projection = (name: string, input: string): NodeProto[] => [
  node('MatMul', [input, `w_${name}`], [`${name}_flat`]),
  node('Add', [`${name}_flat`, `b_${name}`], [`${name}_sum`]),
  node('Reshape', [`${name}_sum`, 'by_head'], [`${name}_split`]),
  node('Transpose', [`${name}_split`], [name], { perm: [0, 2, 1, 3] }),
];
const mixing = [
  node('Softmax', ['scores'], ['shares'], { axis: -1 }),
  node('MatMul', ['shares', 'v'], ['mixed']),
  node('Transpose', ['mixed'], ['back'], { perm: [0, 2, 1, 3] }),
  node('Reshape', ['back', 'whole'], ['joined']),
  node('MatMul', ['joined', 'w_o'], ['o']),
];
const up = [node('MatMul', ['n1', 'w_up'], ['u'])];
const down = [node('MatMul', ['g', 'w_down'], ['d'])];
const projections = ['q', 'k', 'v'].flatMap((name) => projection(name, 'x'));

const transformer = pair('a block of a transformer with norms of sums', {
  shape: [5, WIDTH],
  fused: [
    ...projections,
    fused('FusedMatMul', ['q', 'k'], ['scores'], { transB: 1, alpha: { float: 0.5 } }),
    ...mixing,
    fused('SkipLayerNormalization', ['x', 'o', 's1', 't1', 'b_o'], ['n1', '', '', 'sum1']),
    ...up,
    fused('BiasGelu', ['u', 'b_up'], ['g']),
    ...down,
    fused('SkipSimplifiedLayerNormalization', ['d', 'sum1', 's2', 'b_down'], ['n2'], {
      epsilon: { float: 1e-5 },
    }),
    node('MatMul', ['n2', 'w_y'], ['y']),
  ],
  plain: [
    ...projections,
    node('Transpose', ['k'], ['kt'], { perm: [0, 1, 3, 2] }),
    node('MatMul', ['q', 'kt'], ['products']),
    node('Mul', ['products', 'half'], ['scores']),
    ...mixing,
    node('Add', ['o', 'b_o'], ['ob']),
    node('Add', ['ob', 'x'], ['sum1']),
    node('LayerNormalization', ['sum1', 's1', 't1'], ['n1'], { epsilon: { float: 1e-12 } }),
    ...up,
    node('Add', ['u', 'b_up'], ['ub']),
    node('Gelu', ['ub'], ['g']),
    ...down,
    node('Add', ['d', 'b_down'], ['db']),
    node('Add', ['db', 'sum1'], ['sum2']),
    node('Mul', ['sum2', 'sum2'], ['squares']),
    node('ReduceMean', ['squares', 'last'], ['mean']),
    node('Add', ['mean', 'epsilon'], ['above']),
    node('Sqrt', ['above'], ['root']),
    node('Div', ['sum2', 'root'], ['unit']),
    node('Mul', ['unit', 's2'], ['n2']),
    node('MatMul', ['n2', 'w_y'], ['y']),
  ],
  initializers: [
    ...['q', 'k', 'v', 'o'].flatMap((name) => [
      random(`w_${name}`, [WIDTH, WIDTH]),
      random(`b_${name}`, [WIDTH]),
    ]),
    ...[random('w_up', [WIDTH, 24]), random('b_up', [24]), random('w_down', [24, WIDTH])],
    ...[random('b_down', [WIDTH]), random('s1', [WIDTH]), random('t1', [WIDTH]), random('s2', [WIDTH])],
    ...[random('w_y', [WIDTH, 3]), integers('by_head', [0, 0, 4, 4]), integers('whole', [0, 0, WIDTH])],
  ],
  constants: [scalar('half', 0.5), scalar('epsilon', 1e-5), integers('last', [-1])],
});

const attention = pair('attention of a transformer, in single operators', ATTENTION_PAIR);

export const FUSED_PAIRS: readonly FusedPair[] = [images, perceptron, transformer, attention];
