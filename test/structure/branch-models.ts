import type { GraphProto, ModelProto, NodeProto, TensorProto } from 'onnx-buf';
import { graph, integers, node } from '../formats/onnx/build-model.ts';
import { value } from '../runtime/runtime-model.ts';
import { build, type Parts } from '../runtime/traced-model.ts';
import { random } from './cases/rule-case.ts';

/** A model with branches, and what is expected of it. */
export interface BranchModel {
  readonly name: string;
  readonly model: ModelProto;
  /** `name count` of every family. */
  readonly families: readonly string[];
  /** `tensor operator: reason` of everything frozen, sorted. */
  readonly frozen: readonly string[];
  /** What the open axis `length` has to be, by the first condition: false, true. */
  readonly lengths?: readonly [number, number];
}

const ROWS: NonNullable<Parts['inputs']>[number] = ['x', ['batch', 4]];
const condition = (name: string): NonNullable<Parts['inputs']>[number] => [name, [1], 'BOOL'];

const BRANCH_OUTPUT = ': is an axis of an output of the branch';
const TIED = ': ties it to an axis that cannot shrink';
const CAPTURED = 'If: is read inside a branch or loop';

/** Two layers, named with `stem`, from `input` to `${stem}_y`; `up` and `down` are their weights. */
function network(stem: string, input = 'x', up = `${stem}_up`, down = `${stem}_down`): NodeProto[] {
  return [
    node('MatMul', [input, up], [`${stem}_h`]),
    node('Relu', [`${stem}_h`], [`${stem}_r`]),
    node('MatMul', [`${stem}_r`, down], [`${stem}_y`]),
  ];
}

const networkWeights = (stem: string, width: number, inputs = 4) => [
  random(`${stem}_up`, [inputs, width]),
  random(`${stem}_down`, [width, 3]),
];

const branch = (nodes: NodeProto[], initializers: TensorProto[] = []): GraphProto =>
  graph({ nodes, initializers, outputs: [nodes.at(-1)!.output[0]] });

const choose = (by: string, output: string, whenTrue: GraphProto, whenFalse: GraphProto) =>
  node('If', [by], [output], { then_branch: whenTrue, else_branch: whenFalse });

/** Two layers with a Reshape to rows of two and back between them, which both name the batch: `count`, computed outside as `two` is, and Shape inside. */
function reshaped(stem: string): NodeProto[] {
  return [
    node('MatMul', ['x', `${stem}_up`], [`${stem}_h`]),
    node('Concat', ['count', 'two', 'rest'], [`${stem}_to`], { axis: 0 }),
    node('Reshape', [`${stem}_h`, `${stem}_to`], [`${stem}_p`]),
    node('Unsqueeze', [`${stem}_p`, 'two'], [`${stem}_u`]),
    node('Relu', [`${stem}_u`], [`${stem}_r`]),
    node('Shape', ['x'], [`${stem}_s`]),
    node('Gather', [`${stem}_s`, 'zero'], [`${stem}_n`]),
    node('Concat', [`${stem}_n`, `${stem}_whole`], [`${stem}_back`], { axis: 0 }),
    node('Reshape', [`${stem}_r`, `${stem}_back`], [`${stem}_f`]),
    node('MatMul', [`${stem}_f`, `${stem}_down`], [`${stem}_y`]),
  ];
}

const reshapedWeights = (stem: string, width: number) => [
  ...networkWeights(stem, width),
  integers(`${stem}_whole`, [width]),
];

export const BRANCH_MODELS: readonly BranchModel[] = [
  {
    name: 'branches have networks of their own, and keep what they read from outside',
    families: ['main_up 8', 'then_up 9', 'else_up 6'],
    frozen: [
      `else_down Add${TIED}`,
      `else_up MatMul${TIED}`,
      `main_down ${CAPTURED}`,
      `main_up MatMul${TIED}`,
      `then_down ${BRANCH_OUTPUT}`,
      `then_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [ROWS, condition('c')],
      nodes: [
        ...network('main'),
        choose(
          'c',
          'y',
          branch(network('then', 'main_y'), networkWeights('then', 9, 3)),
          branch([...network('else'), node('Add', ['else_y', 'main_y'], ['sum'])], networkWeights('else', 6)),
        ),
      ],
      initializers: networkWeights('main', 8),
    }),
  },
  {
    name: 'weights that a single branch reads are its own, wherever they are stored',
    families: ['then_up 9', 'inner_up 5'],
    frozen: [
      `inner_down ${BRANCH_OUTPUT}`,
      `inner_up MatMul${TIED}`,
      `then_down ${BRANCH_OUTPUT}`,
      `then_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [ROWS, condition('c'), condition('d')],
      nodes: [
        choose(
          'c',
          'y',
          branch(network('then')),
          branch(
            [
              choose(
                'd',
                'inner',
                branch(network('inner')),
                branch([node('ReduceMean', ['x'], ['m'], { axes: [1] }), node('Expand', ['m', 'to'], ['e'])]),
              ),
            ],
            [random('inner_up', [4, 5])],
          ),
        ),
      ],
      initializers: [...networkWeights('then', 9), random('inner_down', [5, 3]), integers('to', [1, 3])],
    }),
  },
  {
    name: 'a weight that both branches read stays as it is',
    families: ['then_up 6', 'else_up 5'],
    frozen: [
      `else_down MatMul${TIED}`,
      `else_up MatMul${TIED}`,
      `shared ${CAPTURED}`,
      `then_down MatMul${TIED}`,
      `then_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [ROWS, condition('c')],
      nodes: [
        choose(
          'c',
          'y',
          branch([...network('then'), node('MatMul', ['then_y', 'shared'], ['a'])]),
          branch([...network('else'), node('MatMul', ['else_y', 'shared'], ['b'])]),
        ),
      ],
      initializers: [...networkWeights('then', 6), ...networkWeights('else', 5), random('shared', [3, 7])],
    }),
  },
  {
    name: 'a network inside a branch of a branch, beside one of the branch',
    families: ['outer_up 6', 'inner_up 8'],
    frozen: [
      `inner_down ${BRANCH_OUTPUT}`,
      `inner_up MatMul${TIED}`,
      `outer_down ${CAPTURED}`,
      `outer_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [ROWS, condition('c'), condition('d')],
      nodes: [
        choose(
          'c',
          'y',
          branch(
            [
              ...network('outer'),
              choose(
                'd',
                'n',
                branch(network('inner', 'outer_y'), networkWeights('inner', 8, 3)),
                branch([node('Neg', ['outer_y'], ['minus'])]),
              ),
              node('Relu', ['n'], ['relu']),
            ],
            networkWeights('outer', 6),
          ),
          branch([node('Slice', ['x', 'zero', 'three', 'one'], ['s'])]),
        ),
      ],
      initializers: [integers('zero', [0]), integers('one', [1]), integers('three', [3])],
    }),
  },
  {
    name: 'sizes in branches follow what is removed, and the batch that is counted outside',
    families: ['main_up 2', 'main_up#1 4', 'then_up 2', 'then_up#1 6', 'else_up 2', 'else_up#1 3'],
    frozen: [
      `else_down ${BRANCH_OUTPUT}`,
      `else_up MatMul${TIED}`,
      `main_down Add${TIED}`,
      `main_up MatMul${TIED}`,
      `then_down ${BRANCH_OUTPUT}`,
      `then_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [ROWS, condition('c')],
      nodes: [
        node('Shape', ['x'], ['sizes']),
        node('Gather', ['sizes', 'zero'], ['count']),
        node('Add', ['one', 'one'], ['two']),
        ...reshaped('main'),
        choose(
          'c',
          'chosen',
          branch(reshaped('then'), reshapedWeights('then', 12)),
          branch(reshaped('else'), reshapedWeights('else', 6)),
        ),
        node('Add', ['chosen', 'main_y'], ['y']),
      ],
      initializers: [
        ...reshapedWeights('main', 8),
        ...[integers('zero', [0]), integers('one', [1]), integers('rest', [-1])],
      ],
    }),
  },
  {
    name: 'a branch that does not take the sizes that the other takes',
    families: ['then_up 6', 'else_up 9'],
    lengths: [512, 256],
    frozen: [
      `else_down ${BRANCH_OUTPUT}`,
      `else_up MatMul${TIED}`,
      `then_down ${BRANCH_OUTPUT}`,
      `then_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [['x', ['batch', 'length']], condition('c')],
      nodes: [
        node('Add', ['one', 'one'], ['two']),
        choose(
          'c',
          'y',
          branch(network('then'), networkWeights('then', 6, 256)),
          branch(
            [
              ...network('else'),
              node('Unsqueeze', ['else_y', 'two'], ['u']),
              node('Squeeze', ['u', 'two'], ['s']),
            ],
            networkWeights('else', 9, 512),
          ),
        ),
      ],
      initializers: [integers('one', [1])],
    }),
  },
  {
    name: 'what cannot be run by itself, and the body of a Loop, are left as they are',
    families: ['then_up 6'],
    frozen: [
      ...['odd_down', 'odd_up'].map((tensor) => `${tensor} If: is in a branch that cannot be run by itself`),
      'square Loop: is in the body of a Loop',
      `then_down ${BRANCH_OUTPUT}`,
      `then_up MatMul${TIED}`,
    ],
    model: build({
      inputs: [ROWS, condition('c')],
      nodes: [
        node('Loop', ['turns', '', 'x'], ['looped'], { body: loopBody() }),
        node('SequenceConstruct', ['x', 'looped'], ['both']),
        choose(
          'c',
          'y',
          branch(network('then', 'looped'), networkWeights('then', 6)),
          branch(
            [node('SequenceAt', ['both', 'one'], ['second']), ...network('odd', 'second')],
            networkWeights('odd', 7),
          ),
        ),
      ],
      initializers: [integers('turns', [2], []), integers('one', [1], [])],
    }),
  },
];

function loopBody(): GraphProto {
  const body = graph({
    nodes: [node('Identity', ['going'], ['on']), node('MatMul', ['state', 'square'], ['next'])],
    initializers: [random('square', [4, 4])],
    outputs: ['on', 'next'],
  });
  body.input = [value('turn', [], 'INT64'), value('going', [], 'BOOL'), value('state', ['rows', 4])];
  return body;
}
