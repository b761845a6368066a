import type { ModelProto, NodeProto, TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random } from '../structure/cases/rule-case.ts';
import { integers, node } from './build-model.ts';
import { drawNumbers, drawScales, FORMATS, quantizedTensor } from './quantized-numbers.ts';
import { weights } from './runtime-model.ts';
import { build, MICROSOFT } from './traced-model.ts';

/** A mixture of experts. */
export interface ExpertModel {
  readonly name: string;
  readonly model: ModelProto;
  /** `kind count` of every family. */
  readonly families: readonly string[];
  /** Reasons why experts stay. */
  readonly routed: readonly string[];
}

/** Four experts of ten hidden units on six features. */
export const [EXPERTS, WIDTH, HIDDEN] = [4, 6, 10];
const ROWS: [string, (number | string)[]] = ['x', ['batch', WIDTH]];
const UNITS = [`channel ${HIDDEN}`];

const GATE = random('gate', [WIDTH, EXPERTS]);
const UP = random('up', [EXPERTS, WIDTH, HIDDEN]);
const DOWN = random('down', [EXPERTS, HIDDEN, WIDTH]);
/** As Linears have them. */
const UP_ROWS = random('up_rows', [EXPERTS, HIDDEN, WIDTH]);
const DOWN_ROWS = random('down_rows', [EXPERTS, WIDTH, HIDDEN]);
const INTEGERS = [
  ...[integers('zero', [0]), integers('one', [1]), integers('two', [2]), integers('last', [-1])],
  ...[integers('outer', [1, 2]), integers('end', [2 ** 31])],
];

/** The two best experts of each sample, and their shares. */
const ROUTER: NodeProto[] = [
  node('MatMul', ['x', 'gate'], ['logits']),
  node('TopK', ['logits', 'two'], ['top', 'chosen'], { axis: -1 }),
  node('Softmax', ['top'], ['shares'], { axis: -1 }),
];
const pick = (weight: string) => node('Gather', [weight, 'chosen'], [`${weight}_of`], { axis: 0 });
const swish = (input: string, output: string): NodeProto[] => [
  node('Sigmoid', [input], [`${input}_s`]),
  node('Mul', [input, `${input}_s`], [output]),
];
const turn = (input: string, output: string, perm: number[]) =>
  node('Transpose', [input], [output], { perm });

/** Experts whose weights are picked for each sample: `nodes` make `e [batch, 2, 1, width]` of `rows [batch, 1, 1, width]`. */
function picked(name: string, nodes: NodeProto[], initializers: TensorProto[], opset?: number): ExpertModel {
  return {
    name: `picked experts, ${name}`,
    families: UNITS,
    routed: ['is looked up by index'],
    model: build({
      inputs: [ROWS],
      nodes: [
        ...ROUTER,
        node('Unsqueeze', ['shares', 'two'], ['share']),
        node('Unsqueeze', ['x', 'outer'], ['rows']),
        ...nodes,
        node('Squeeze', ['e', 'two'], ['each']),
        node('Mul', ['each', 'share'], ['shared']),
        node('ReduceSum', ['shared', 'one'], ['y'], { keepdims: 0 }),
      ],
      initializers: [GATE, ...INTEGERS, ...initializers],
      ...(opset === undefined ? {} : { opset }),
    }),
  };
}

const bytes = (name: string, dims: number[]) =>
  quantizedTensor(name, FORMATS.int8, dims, drawNumbers(FORMATS.int8, dims, name.length));
const packed = (name: string, dims: number[]) =>
  quantizedTensor(name, FORMATS.uint8, dims, drawNumbers(FORMATS.uint8, dims, name.length));

const PICKED: readonly ExpertModel[] = [
  picked(
    'with biases',
    [
      ...['up', 'up_bias', 'down', 'down_bias'].map(pick),
      node('MatMul', ['rows', 'up_of'], ['h']),
      node('Unsqueeze', ['up_bias_of', 'two'], ['up_row']),
      node('Add', ['h', 'up_row'], ['hb']),
      node('Relu', ['hb'], ['a']),
      node('MatMul', ['a', 'down_of'], ['o']),
      node('Unsqueeze', ['down_bias_of', 'two'], ['down_row']),
      node('Add', ['o', 'down_row'], ['e']),
    ],
    [UP, DOWN, random('up_bias', [EXPERTS, HIDDEN]), random('down_bias', [EXPERTS, WIDTH])],
  ),
  picked(
    'stored as Linears have them',
    [
      ...['up_rows', 'down_rows'].map(pick),
      turn('up_rows_of', 'u', [0, 1, 3, 2]),
      turn('down_rows_of', 'd', [0, 1, 3, 2]),
      node('MatMul', ['rows', 'u'], ['h']),
      ...swish('h', 'a'),
      node('MatMul', ['a', 'd'], ['e']),
    ],
    [UP_ROWS, DOWN_ROWS],
  ),
  picked(
    'gated',
    [
      ...['up', 'gated', 'down'].map(pick),
      node('MatMul', ['rows', 'gated_of'], ['g']),
      node('MatMul', ['rows', 'up_of'], ['u']),
      ...swish('g', 'silu'),
      node('Mul', ['silu', 'u'], ['a']),
      node('MatMul', ['a', 'down_of'], ['e']),
    ],
    [UP, random('gated', [EXPERTS, WIDTH, HIDDEN]), DOWN],
  ),
  picked(
    'gates and values interleaved in one weight',
    [
      ...['both', 'down'].map(pick),
      node('MatMul', ['rows', 'both_of'], ['gu']),
      node('Slice', ['gu', 'zero', 'end', 'last', 'two'], ['g']),
      node('Slice', ['gu', 'one', 'end', 'last', 'two'], ['u']),
      ...swish('g', 'silu'),
      node('Mul', ['silu', 'u'], ['a']),
      node('MatMul', ['a', 'down_of'], ['e']),
    ],
    [random('both', [EXPERTS, WIDTH, 2 * HIDDEN]), DOWN],
  ),
  picked(
    'gates before values in one weight that is split when it has been picked',
    [
      ...['both', 'down'].map(pick),
      node('Split', ['both_of'], ['gates', 'values'], { axis: -1 }),
      node('MatMul', ['rows', 'gates'], ['g']),
      node('MatMul', ['rows', 'values'], ['u']),
      ...swish('g', 'silu'),
      node('Mul', ['silu', 'u'], ['a']),
      node('MatMul', ['a', 'down_of'], ['e']),
    ],
    [random('both', [EXPERTS, WIDTH, 2 * HIDDEN]), DOWN],
  ),
  picked(
    'by indices of one axis more',
    [
      node('Unsqueeze', ['chosen', 'last'], ['places']),
      ...['up', 'down'].map((weight) => node('GatherND', [weight, 'places'], [`${weight}_of`])),
      node('MatMul', ['rows', 'up_of'], ['h']),
      node('Relu', ['h'], ['a']),
      node('MatMul', ['a', 'down_of'], ['e']),
    ],
    [UP, DOWN],
  ),
  picked(
    'of quantized numbers',
    [
      ...['up_q', 'down_q'].map(pick),
      node('DequantizeLinear', ['up_q_of', 'scale'], ['u']),
      node('DequantizeLinear', ['down_q_of', 'scale'], ['d']),
      node('MatMul', ['rows', 'u'], ['h']),
      node('Relu', ['h'], ['a']),
      node('MatMul', ['a', 'd'], ['e']),
    ],
    [
      bytes('up_q', [EXPERTS, WIDTH, HIDDEN]),
      bytes('down_q', [EXPERTS, HIDDEN, WIDTH]),
      weights('scale', [], [0.01]),
    ],
  ),
];

/** All experts for all samples: `nodes` make `each [experts, batch, width]` of `all`, which they repeat, and the router `share [experts, batch, 1]`. */
function dense(
  name: string,
  expected: Pick<ExpertModel, 'families' | 'routed'>,
  nodes: NodeProto[],
  initializers: TensorProto[],
): ExpertModel {
  return {
    name: `all experts at once, ${name}`,
    ...expected,
    model: build({
      inputs: [ROWS],
      nodes: [
        node('MatMul', ['x', 'gate'], ['logits']),
        node('Unsqueeze', ['x', 'zero'], ['row']),
        ...nodes,
        node('Mul', ['each', 'share'], ['shared']),
        node('ReduceSum', ['shared', 'zero'], ['y'], { keepdims: 0 }),
      ],
      initializers: [GATE, ...INTEGERS, integers('repeat', [EXPERTS, 1, 1]), ...initializers],
    }),
  };
}

const NORMALIZED = [
  node('Softmax', ['logits'], ['shares'], { axis: -1 }),
  turn('shares', 'turned', [1, 0]),
  node('Unsqueeze', ['turned', 'two'], ['share']),
];
/** The shares of the two best, and 0 of all others. */
const SCATTERED = [
  ...ROUTER.slice(1),
  node('Mul', ['logits', 'none'], ['nothing']),
  node('ScatterElements', ['nothing', 'chosen', 'shares'], ['scattered'], { axis: 1 }),
  turn('scattered', 'turned', [1, 0]),
  node('Unsqueeze', ['turned', 'two'], ['share']),
];
const ROUTED = { families: UNITS, routed: ['is normalized over'] };

const DENSE: readonly ExpertModel[] = [
  dense(
    'weighed by a Softmax',
    ROUTED,
    [
      ...NORMALIZED,
      node('Expand', ['row', 'repeat'], ['all']),
      node('MatMul', ['all', 'up'], ['h']),
      node('Relu', ['h'], ['a']),
      node('MatMul', ['a', 'down'], ['each']),
    ],
    [UP, DOWN],
  ),
  dense(
    'gates and values interleaved, of which the best are weighed',
    { families: UNITS, routed: ['has positions that are the result'] },
    [
      ...SCATTERED,
      node('Tile', ['row', 'repeat'], ['all']),
      node('MatMul', ['all', 'both'], ['h']),
      node('Unsqueeze', ['both_bias', 'one'], ['bias']),
      node('Add', ['h', 'bias'], ['gu']),
      node('Slice', ['gu', 'zero', 'end', 'last', 'two'], ['g']),
      node('Slice', ['gu', 'one', 'end', 'last', 'two'], ['u']),
      node('Clip', ['g', '', 'seven'], ['clipped']),
      ...swish('clipped', 'silu'),
      node('Mul', ['silu', 'u'], ['a']),
      node('MatMul', ['a', 'down'], ['each']),
    ],
    [
      ...[random('both', [EXPERTS, WIDTH, 2 * HIDDEN]), random('both_bias', [EXPERTS, 2 * HIDDEN]), DOWN],
      ...[weights('seven', [], [7]), weights('none', [], [0])],
    ],
  ),
  dense(
    'gates and values interleaved in a weight that is taken apart',
    ROUTED,
    [
      ...NORMALIZED,
      node('Slice', ['both', 'zero', 'end', 'last', 'two'], ['gates']),
      node('Slice', ['both', 'one', 'end', 'last', 'two'], ['values']),
      node('MatMul', ['row', 'gates'], ['g']),
      node('MatMul', ['row', 'values'], ['u']),
      ...swish('g', 'silu'),
      node('Mul', ['silu', 'u'], ['a']),
      node('MatMul', ['a', 'down'], ['each']),
    ],
    [random('both', [EXPERTS, WIDTH, 2 * HIDDEN]), DOWN],
  ),
  dense(
    'stored as Linears have them, each weighed by itself',
    { families: [`channel ${EXPERTS}`, ...UNITS], routed: [] },
    [
      node('Sigmoid', ['logits'], ['shares']),
      turn('shares', 'turned', [1, 0]),
      node('Unsqueeze', ['turned', 'two'], ['share']),
      turn('up_rows', 'u', [0, 2, 1]),
      turn('down_rows', 'd', [0, 2, 1]),
      node('Expand', ['row', 'repeat'], ['all']),
      node('MatMul', ['all', 'u'], ['h']),
      node('Relu', ['h'], ['a']),
      node('MatMul', ['a', 'd'], ['each']),
    ],
    [UP_ROWS, DOWN_ROWS],
  ),
  dense(
    'in Einsums, each weighed by itself',
    { families: [`channel ${EXPERTS}`, ...UNITS], routed: [] },
    [
      node('Sigmoid', ['logits'], ['shares']),
      turn('shares', 'turned', [1, 0]),
      node('Unsqueeze', ['turned', 'two'], ['share']),
      node('Einsum', ['x', 'up'], ['h'], { equation: 'nd,edh->neh' }),
      node('Relu', ['h'], ['a']),
      node('Einsum', ['a', 'down'], ['each'], { equation: 'neh,ehd->end' }),
    ],
    [UP, DOWN],
  ),
  {
    name: 'all experts at once, as layers of their own',
    families: Array(EXPERTS).fill(`channel ${HIDDEN}`),
    routed: ['is normalized over'],
    model: build({
      inputs: [ROWS],
      nodes: [
        node('MatMul', ['x', 'gate'], ['logits']),
        node('Softmax', ['logits'], ['shares'], { axis: -1 }),
        node('Split', ['shares'], range('share'), { axis: 1 }),
        ...range('').flatMap((_, i) => [
          node('Gemm', ['x', `up${i}`, `up_bias${i}`], [`h${i}`], { transB: 1 }),
          node('Relu', [`h${i}`], [`a${i}`]),
          node('Gemm', [`a${i}`, `down${i}`], [`o${i}`], { transB: 1 }),
          node('Mul', [`o${i}`, `share${i}`], [`e${i}`]),
        ]),
        node('Sum', range('e'), ['y']),
      ],
      initializers: [
        GATE,
        ...range('up').map((name) => random(name, [HIDDEN, WIDTH])),
        ...range('up_bias').map((name) => random(name, [HIDDEN])),
        ...range('down').map((name) => random(name, [WIDTH, HIDDEN])),
      ],
    }),
  },
  {
    name: 'each expert for its own samples',
    families: Array(EXPERTS).fill(`channel ${HIDDEN}`),
    routed: ['has positions that are the result'],
    model: build({
      inputs: [ROWS],
      nodes: [
        ...ROUTER,
        node('Mul', ['x', 'none'], ['sum0']),
        ...range('').flatMap((_, i) => [
          node('Equal', ['chosen', `number${i}`], [`is${i}`]),
          node('NonZero', [`is${i}`], [`where${i}`]),
          node('Transpose', [`where${i}`], [`places${i}`]),
          node('GatherND', ['shares', `places${i}`], [`share${i}`]),
          node('Unsqueeze', [`share${i}`, 'one'], [`factor${i}`]),
          node('Gather', [`where${i}`, 'first'], [`samples${i}`], { axis: 0 }),
          node('Gather', ['x', `samples${i}`], [`x${i}`], { axis: 0 }),
          node('MatMul', [`x${i}`, `gated${i}`], [`g${i}`]),
          node('MatMul', [`x${i}`, `up${i}`], [`u${i}`]),
          ...swish(`g${i}`, `silu${i}`),
          node('Mul', [`silu${i}`, `u${i}`], [`a${i}`]),
          node('MatMul', [`a${i}`, `down${i}`], [`o${i}`]),
          node('Mul', [`o${i}`, `factor${i}`], [`e${i}`]),
          node('Unsqueeze', [`samples${i}`, 'one'], [`at${i}`]),
          node('ScatterND', [`sum${i}`, `at${i}`, `e${i}`], [`sum${i + 1}`], { reduction: 'add' }),
        ]),
        node('Identity', [`sum${EXPERTS}`], ['y']),
      ],
      initializers: [
        ...[GATE, ...INTEGERS, weights('none', [], [0]), integers('first', [0], [])],
        ...range('number').map((name, i) => integers(name, [i])),
        ...['up', 'gated'].flatMap((stem) => range(stem).map((name) => random(name, [WIDTH, HIDDEN]))),
        ...range('down').map((name) => random(name, [HIDDEN, WIDTH])),
      ],
      opset: 18,
    }),
  },
];

function range(stem: string): string[] {
  return Array.from({ length: EXPERTS }, (_, i) => `${stem}${i}`);
}

/**
 * In one operator. It reads an input of the model: of anything else that is not read later onnxruntime 1.30 gives a MoE on the CPU the buffer to write to, and finds zeros in it.
 */
function fused(
  name: string,
  width: number,
  families: readonly string[],
  mixture: NodeProto,
  initializers: TensorProto[],
): ExpertModel {
  return {
    name,
    families,
    routed: ['is an expert of a router that chooses among all'],
    model: build({
      inputs: [['x', ['batch', width]]],
      nodes: [node('MatMul', ['x', 'gate'], ['logits']), mixture, node('MatMul', ['mixed', 'head'], ['y'])],
      initializers: [random('gate', [width, EXPERTS]), random('head', [width, 3]), ...initializers],
    }),
  };
}

const FUSED: readonly ExpertModel[] = [
  fused(
    'MoE',
    WIDTH,
    UNITS,
    node(
      'MoE',
      ['x', 'logits', 'up_rows', 'up_bias', 'down_rows', 'down_bias'],
      ['mixed'],
      { k: 2 },
      MICROSOFT,
    ),
    [UP_ROWS, random('up_bias', [EXPERTS, HIDDEN]), DOWN_ROWS, random('down_bias', [EXPERTS, WIDTH])],
  ),
  // Four blocks of 16.
  fused(
    'QMoE in blocks, gates and values interleaved',
    48,
    ['channel 4'],
    node(
      'QMoE',
      ['x', 'logits', 'up_rows', 'up_scales', '', 'down_rows', 'down_scales'],
      ['mixed'],
      {
        ...{ k: 2, activation_type: 'swiglu', swiglu_fusion: 1, normalize_routing_weights: 1 },
        ...{ expert_weight_bits: 4, block_size: 16 },
      },
      MICROSOFT,
    ),
    [
      ...[packed('up_rows', [EXPERTS, 128, 24]), packed('down_rows', [EXPERTS, 48, 32])],
      weights('up_scales', [EXPERTS, 128, 3], drawScales(EXPERTS * 128 * 3, 1)),
      weights('down_scales', [EXPERTS, 48, 4], drawScales(EXPERTS * 48 * 4, 2)),
    ],
  ),
];

export const EXPERT_MODELS: readonly ExpertModel[] = [...PICKED, ...DENSE, ...FUSED];
