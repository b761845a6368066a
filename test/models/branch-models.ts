import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random } from '../structure/cases/rule-case.ts';
import {
  branch,
  CONVOLUTION_SIZES,
  choose,
  condition,
  constant,
  convolution,
  loopBody,
  network,
  networkWeights,
  ROWS,
  reshaped,
  reshapedWeights,
  withIrVersion,
} from './branch-parts.ts';
import { integers, node } from './build-model.ts';
import { build } from './traced-model.ts';

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

const BRANCH_OUTPUT = ': is an axis of an output of the branch';
const TIED = ': is tied to an axis that cannot shrink';
const CAPTURED = 'If: is read inside a branch or loop';

/** What is frozen of networks that read what cannot shrink, and whose results are those of branches. */
const endsOf = (...stems: string[]) =>
  stems.flatMap((stem) => [`${stem}_down ${BRANCH_OUTPUT}`, `${stem}_up MatMul${TIED}`]);

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
    frozen: endsOf('inner', 'then'),
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
      ...['else_down', 'else_up'].map((tensor) => `${tensor} MatMul${TIED}`),
      `shared ${CAPTURED}`,
      ...['then_down', 'then_up'].map((tensor) => `${tensor} MatMul${TIED}`),
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
    frozen: endsOf('else', 'then'),
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
    name: 'a branch that takes any size beside one that takes a single one',
    families: ['then_up 6', 'conv 2', 'conv#0 4'],
    lengths: [300, 256],
    frozen: [`down ${BRANCH_OUTPUT}`, `then_down ${BRANCH_OUTPUT}`, `then_up MatMul${TIED}`],
    model: build({
      inputs: [['x', ['batch', 'length']], condition('c')],
      nodes: [
        choose('c', 'y', branch(network('then'), networkWeights('then', 6, 256)), branch(convolution())),
      ],
      initializers: [...[random('conv', [8, 1, 3]), random('down', [8, 3]), ...CONVOLUTION_SIZES]],
    }),
  },
  {
    name: 'what is computed outside of a size that the other branch has asked for',
    families: ['then_up 6'],
    lengths: [256, 256],
    frozen: [
      ...['conv', 'down'].map((tensor) => `${tensor} If: is in a branch whose sizes could not be found`),
      ...[`then_down ${BRANCH_OUTPUT}`, `then_up MatMul${TIED}`],
    ],
    model: build({
      inputs: [['x', ['batch', 'length']], condition('c')],
      nodes: [
        node('Unsqueeze', ['x', 'one'], ['wide']),
        choose(
          'c',
          'y',
          branch(network('then'), networkWeights('then', 6, 256)),
          branch(convolution().slice(1), [random('conv', [8, 1, 3]), random('down', [8, 3])]),
        ),
      ],
      initializers: CONVOLUTION_SIZES,
    }),
  },
  {
    name: 'branches of old models hold Constant nodes alone',
    families: ['then_up 2', 'then_up#1 6', 'else_up 2', 'else_up#1 3'],
    frozen: endsOf('else', 'then'),
    model: withIrVersion(
      3n,
      build({
        inputs: [ROWS, condition('c')],
        nodes: [
          ...[
            constant(integers('zero', [0])),
            constant(integers('two', [2])),
            constant(integers('rest', [-1])),
          ],
          node('Shape', ['x'], ['sizes']),
          node('Gather', ['sizes', 'zero'], ['count']),
          choose(
            'c',
            'y',
            branch([...reshapedWeights('then', 12).map(constant), ...reshaped('then')]),
            branch([...reshapedWeights('else', 6).map(constant), ...reshaped('else')]),
          ),
        ],
      }),
    ),
  },
  {
    name: 'what cannot be run by itself, and the body of a Loop, are left as they are',
    families: ['then_up 6'],
    frozen: [
      ...['odd_down', 'odd_up'].map(
        (tensor) => `${tensor} If: is in a branch whose sizes could not be found`,
      ),
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
