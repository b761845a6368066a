import type { ModelProto, NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random } from '../structure/cases/rule-case.ts';
import { graph, integers, modelFunction, node, value } from './build-model.ts';
import { FUSED_PAIRS } from './fused-models.ts';
import { groupNormModel } from './group-norm-models.ts';
import { drawNumbers, drawScales, FORMATS, quantizedTensor } from './quantized-numbers.ts';
import { weights } from './runtime-model.ts';
import { build } from './traced-model.ts';

/** What is expected of a model. */
export interface Expected {
  /** `kind count` of every family. */
  readonly families: readonly string[];
  /** `operator: reason` of everything frozen, sorted. */
  readonly frozen: readonly string[];
}

export interface SmallModel extends Expected {
  readonly name: string;
  readonly model: ModelProto;
}

export const INPUT = 'is tied to an axis that cannot shrink';
export const OUTPUT = ': is an axis of an output of the model';
const STATISTICS_OF = {
  'by group': 'GroupNormalization: has its mean and variance taken over it',
  'by channel': 'GroupNormalization: has its mean and variance taken over it',
  'in parts': 'InstanceNormalization: has its mean and variance taken over it',
};
/** As those of the models that they were fused from. */
const FUSED_STRUCTURES: readonly Expected[] = [
  {
    families: ['channel 2', 'channel 4', 'channel 6', 'channel 10'],
    frozen: [OUTPUT, `FusedConv: ${INPUT}`],
  },
  {
    families: ['channel 16', 'channel 12', 'channel 14', 'channel 10'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
  },
  {
    families: ['head 4', 'head_width 4', 'head_width 4', 'channel 24'],
    frozen: [
      ...[OUTPUT, `MatMul: ${INPUT}`],
      ...['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization'].map((op) => `${op}: ${INPUT}`),
    ],
  },
  {
    families: [
      ...['channel 10', 'head 4', 'head_width 4', 'head_width 4'],
      ...['channel 12', 'head 4', 'head_width 4', 'head_width 4'],
    ],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
  },
];
const IMAGE: [string, (number | string)[]] = ['x', ['batch', 3, 6, 6]];
const ROWS: [string, (number | string)[]] = ['x', ['batch', 4]];

const conv = (input: string, weight: string, output: string) =>
  node('Conv', [input, weight], [output], { pads: [1, 1, 1, 1] });

/** Models whose structures hang together in ways of their own. */
export const SMALL_MODELS: readonly SmallModel[] = [
  {
    name: 'a bias that is a list in a node goes with its units, whatever a tensor is called',
    families: ['channel 300'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [ROWS],
      nodes: [
        node('Constant', [], ['b'], {
          value_floats: { floats: Array.from({ length: 300 }, (_, i) => Math.sin(i)) },
        }),
        node('MatMul', ['x', 'w'], ['h']),
        node('Add', ['h', 'b'], ['a']),
        node('Relu', ['a'], ['r']),
        node('MatMul', ['r', '__metadata__'], ['y']),
      ],
      initializers: [random('w', [4, 300]), random('__metadata__', [300, 3])],
    }),
  },
  {
    name: 'a residual sum ties what adds to it',
    families: ['channel 8', 'channel 6'],
    frozen: [OUTPUT, `Conv: ${INPUT}`],
    model: build({
      inputs: [IMAGE],
      nodes: [
        conv('x', 'stem', 's'),
        node('Relu', ['s'], ['r']),
        conv('r', 'inner', 'i'),
        node('Relu', ['i'], ['ri']),
        conv('ri', 'outer', 'o'),
        node('Add', ['r', 'o'], ['sum']),
        node('GlobalAveragePool', ['sum'], ['pooled']),
        node('Flatten', ['pooled'], ['flat']),
        node('Gemm', ['flat', 'head'], ['y'], { transB: 1 }),
      ],
      initializers: [
        random('stem', [8, 3, 3, 3]),
        random('inner', [6, 8, 3, 3]),
        random('outer', [8, 6, 3, 3]),
        random('head', [5, 8]),
      ],
    }),
  },
  {
    name: 'units of a graph network, which a product of two activations averages over nodes, are channels',
    families: ['channel 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [
        ['x', ['batch', 5, 4]],
        ['shares', ['batch', 5, 5]],
      ],
      nodes: [
        node('MatMul', ['x', 'w'], ['h']),
        node('MatMul', ['shares', 'h'], ['mean']),
        node('Relu', ['mean'], ['r']),
        node('MatMul', ['r', 'v'], ['y']),
      ],
      initializers: [random('w', [4, 6]), random('v', [6, 3])],
    }),
  },
  {
    name: 'heads of attention that is written in letters',
    families: ['head 3', 'head_width 4', 'head_width 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [['x', ['batch', 5, 8]]],
      nodes: [
        ...['q', 'k', 'v'].flatMap((part) => [
          node('MatMul', ['x', `w${part}`], [`${part}_flat`]),
          node('Reshape', [`${part}_flat`, part === 'v' ? 'value_shape' : 'shape'], [part]),
        ]),
        node('Einsum', ['q', 'k'], ['scores'], { equation: 'bqhw,bkhw->bhqk' }),
        node('Softmax', ['scores'], ['shares'], { axis: -1 }),
        node('Einsum', ['shares', 'v'], ['o'], { equation: 'bhqk,bkhw->bqhw' }),
        node('Reshape', ['o', 'whole'], ['joined']),
        node('MatMul', ['joined', 'wo'], ['y']),
      ],
      initializers: [
        ...[random('wq', [8, 12]), random('wk', [8, 12]), random('wv', [8, 18]), random('wo', [18, 3])],
        ...[integers('shape', [0, 0, 3, 4]), integers('value_shape', [0, 0, 3, 6])],
        integers('whole', [0, 0, -1]),
      ],
    }),
  },
  {
    name: 'halves that gate each other go in pairs, through an old Split',
    families: ['channel 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [ROWS],
      opset: 11,
      nodes: [
        node('MatMul', ['x', 'w'], ['h']),
        node('Split', ['h'], ['a', 'b'], { axis: 1 }),
        node('Sigmoid', ['b'], ['gate']),
        node('Mul', ['a', 'gate'], ['g']),
        node('MatMul', ['g', 'v'], ['y']),
      ],
      initializers: [random('w', [4, 12]), random('v', [6, 3])],
    }),
  },
  {
    // The second GRU's units are what the last layer puts out.
    name: 'layers that start from the same zeros are apart, the uses of one weight are not',
    families: ['channel 5', 'channel 6'],
    frozen: [OUTPUT, 'GRU: is a gate', `GRU: ${INPUT}`],
    model: build({
      inputs: [['x', [3, 'batch', 4]]],
      nodes: [
        node('GRU', ['x', 'w1', 'r1', '', '', 'zeros'], ['y1', ''], { hidden_size: 5 }),
        node('Squeeze', ['y1', 'direction'], ['s1']),
        node('GRU', ['s1', 'w2', 'r2', '', '', 'zeros'], ['', 'h2'], { hidden_size: 5 }),
        node('Squeeze', ['h2', 'zero'], ['s2']),
        node('Gemm', ['s2', 'up'], ['u'], { transB: 1 }),
        node('Relu', ['u'], ['r']),
        node('Gemm', ['r', 'up'], ['y']),
      ],
      initializers: [
        ...[random('w1', [1, 15, 4]), random('r1', [1, 15, 5]), random('zeros', [1, 1, 5])],
        ...[random('w2', [1, 15, 5]), random('r2', [1, 15, 5]), random('up', [6, 5])],
        ...[integers('direction', [1]), integers('zero', [0])],
      ],
    }),
  },
  {
    name: 'a table that is read several times stays one',
    families: ['channel 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [ROWS],
      nodes: [
        node('MatMul', ['x', 'w'], ['h']),
        node('Unsqueeze', ['h', 'last'], ['column']),
        node('Sub', ['column', 'knots'], ['d']),
        node('Mul', ['d', 'knots'], ['e']),
        node('Add', ['e', 'knots'], ['f']),
        node('ReduceMax', ['f'], ['m'], { axes: [2], keepdims: 0 }),
        node('MatMul', ['m', 'v'], ['y']),
      ],
      initializers: [
        random('w', [4, 6]),
        random('knots', [6, 9]),
        random('v', [6, 3]),
        integers('last', [2]),
      ],
    }),
  },
  {
    name: 'a branch keeps what it reads, and what an unknown operator reads stays',
    families: ['channel 5'],
    frozen: [
      OUTPUT,
      'If: is read inside a branch or loop',
      `MatMul: ${INPUT}`,
      'Pad: is read by com.microsoft.Pad, which has no rule for structures',
    ],
    model: build({
      inputs: [ROWS, ['c', [1], 'BOOL']],
      nodes: [
        node('MatMul', ['x', 'free'], ['f']),
        node('Relu', ['f'], ['rf']),
        node('MatMul', ['rf', 'captured'], ['h']),
        node('If', ['c'], ['t'], {
          then_branch: graph({ nodes: [node('Abs', ['h'], ['ta'])], outputs: ['ta'] }),
          else_branch: graph({ nodes: [node('Identity', ['h'], ['tb'])], outputs: ['tb'] }),
        }),
        node('MatMul', ['t', 'unknown'], ['u']),
        node('Pad', ['u', 'none'], ['g'], {}, 'com.microsoft'),
        node('MatMul', ['g', 'last'], ['y']),
      ],
      initializers: [
        random('free', [4, 5]),
        random('captured', [5, 6]),
        random('unknown', [6, 7]),
        integers('none', [0, 0, 0, 0]),
        random('last', [7, 2]),
      ],
    }),
  },
  ...(['by group', 'by channel', 'in parts'] as const).map((form) => ({
    name: `groups of channels that are normalized together go as a whole, ${form}`,
    families: ['channel 4'],
    frozen: [OUTPUT, `Conv: ${INPUT}`, STATISTICS_OF[form]].sort(),
    model: groupNormModel({ channels: 12, groups: 4, form }),
  })),
  ...FUSED_PAIRS.map(({ name, fused }, i) => ({
    name: `fused: ${name}`,
    model: fused,
    ...FUSED_STRUCTURES[i],
  })),
  {
    name: 'sizes that the model puts out stay what they were',
    families: ['channel 8'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: build({
      inputs: [ROWS],
      nodes: [
        node('MatMul', ['x', 'w'], ['h']),
        node('Shape', ['h'], ['sizes']),
        node('MatMul', ['h', 'v'], ['y']),
      ],
      outputs: ['y', 'sizes'],
      initializers: [random('w', [4, 8]), random('v', [8, 3])],
    }),
  },
  {
    name: 'a list of inputs that held a shape, which is another now',
    families: ['channel 8'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: withShapeListed(),
  },
  {
    name: 'tensors that are listed among the inputs, sizes that are declared, and layers inside a function',
    families: ['channel 6'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`],
    model: withFunction(),
  },
  {
    // Zero points of both convolutions are one tensor, as quantizers keep equal ones once.
    name: 'quantized filters go with their scales, zero points and int32 biases',
    families: ['channel 6', 'channel 6'],
    frozen: [OUTPUT, `Conv: ${INPUT}`],
    model: build({
      inputs: [IMAGE],
      nodes: [
        ...quantizedConv('x', 'c1', 'a'),
        node('QuantizeLinear', ['a', 'step', 'shift'], ['aq']),
        node('DequantizeLinear', ['aq', 'step', 'shift'], ['ad']),
        ...quantizedConv('ad', 'c2', 'b'),
        node('GlobalAveragePool', ['b'], ['pooled']),
        node('Flatten', ['pooled'], ['flat']),
        node('Gemm', ['flat', 'head'], ['y'], { transB: 1 }),
      ],
      initializers: [
        quantizedTensor('c1', FORMATS.int8, [6, 3, 3, 3], drawNumbers(FORMATS.int8, [6, 3, 3, 3], 1)),
        quantizedTensor('c2', FORMATS.int8, [6, 6, 3, 3], drawNumbers(FORMATS.int8, [6, 6, 3, 3], 2)),
        quantizedTensor('zeros', FORMATS.int8, [6], [0, 0, 0, 0, 0, 0]),
        quantizedTensor('bias_zeros', FORMATS.int32, [6], [0, 0, 0, 0, 0, 0]),
        ...['c1', 'c2'].flatMap((name, i) => [
          weights(`${name}_scale`, [6], drawScales(6, i)),
          quantizedTensor(`${name}_bias`, FORMATS.int32, [6], [900, -70, 0, 12345, -6, 7]),
          weights(`${name}_bias_scale`, [6], drawScales(6, i + 9)),
        ]),
        weights('step', [], [0.05]),
        quantizedTensor('shift', FORMATS.uint8, [], [100]),
        random('head', [5, 6]),
      ],
    }),
  },
];

/** A convolution in QDQ form, with a scale for every filter. */
function quantizedConv(input: string, name: string, output: string): NodeProto[] {
  const dequantized = (stored: string, zeros: string) =>
    node('DequantizeLinear', [stored, `${stored}_scale`, zeros], [`${stored}_float`], { axis: 0 });
  return [
    dequantized(name, 'zeros'),
    dequantized(`${name}_bias`, 'bias_zeros'),
    node('Conv', [input, `${name}_float`, `${name}_bias_float`], [`${output}_sum`], { pads: [1, 1, 1, 1] }),
    node('Relu', [`${output}_sum`], [output]),
  ];
}

function withShapeListed(): ModelProto {
  const proto = build({
    inputs: [ROWS],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Reshape', ['h', 'shape'], ['r']),
      node('MatMul', ['r', 'v'], ['y']),
    ],
    initializers: [random('w', [4, 8]), integers('shape', [-1, 8]), random('v', [8, 3])],
  });
  proto.graph?.input.push(value('w', [4, 8]), value('shape', [2], 'INT64'), value('v', [8, 3]));
  return proto;
}

function withFunction(): ModelProto {
  const proto = build({
    inputs: [ROWS],
    nodes: [node('layer', ['x', 'w'], ['h'], {}, 'local'), node('layer', ['h', 'v'], ['y'], {}, 'local')],
    initializers: [random('w', [4, 6]), random('v', [6, 3])],
  });
  proto.graph?.input.push(value('w', [4, 6]), value('v', [6, 3]));
  proto.graph?.valueInfo.push(value('h', ['batch', 6]));
  const body = [node('MatMul', ['a', 'b'], ['ab']), node('Relu', ['ab'], ['c'])];
  proto.functions.push(modelFunction('layer', ['a', 'b'], ['c'], body));
  proto.opsetImport.push({ ...proto.opsetImport[0], domain: 'local', version: 1n });
  proto.opsetImport.push({ ...proto.opsetImport[0], domain: 'com.microsoft', version: 1n });
  return proto;
}
