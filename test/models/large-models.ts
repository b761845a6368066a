import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { floats, graph, integers, model, node } from './build-model.ts';

const numbered = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
/** The value that the `index`-th of a chain of nodes reads. */
const before = (index: number, first: string) => (index === 0 ? first : `v${index - 1}`);
const SQUARE = [4, 4];
const INPUTS: [string, number[]][] = [['x', [2, 4]]];

/** Models of about `count` nodes, each of a form that some way of looking at graphs could take the square of. */
export const LARGE_MODELS: Readonly<Record<string, (count: number) => ModelProto>> = {
  'a weight behind a chain of Identities': (count) =>
    model({
      nodes: [
        ...numbered(count, (i) => node('Identity', [before(i, 'w')], [`v${i}`])),
        node('MatMul', ['x', `v${count - 1}`], ['y']),
      ],
      initializers: [floats('w', SQUARE)],
      inputs: INPUTS,
      outputs: ['y'],
    }),
  'a chain behind a layer': (count) =>
    model({
      nodes: [
        node('MatMul', ['x', 'w'], ['v']),
        ...numbered(count, (i) => node('Relu', [before(i, 'v')], [`v${i}`])),
      ],
      initializers: [floats('w', SQUARE)],
      inputs: INPUTS,
      outputs: [`v${count - 1}`],
    }),
  'dead code': (count) =>
    model({
      nodes: [
        ...numbered(count, (i) => node('Relu', [before(i, 'x')], [`v${i}`])),
        node('MatMul', ['x', 'w'], ['y']),
      ],
      initializers: [floats('w', SQUARE)],
      inputs: INPUTS,
      outputs: ['y'],
    }),
  'pairs of layers that share weights': (count) =>
    model({
      nodes: numbered(count, (i) => node('MatMul', [before(i, 'x'), `w${i % (count / 2)}`], [`v${i}`])),
      initializers: numbered(count / 2, (i) => floats(`w${i}`, SQUARE)),
      inputs: INPUTS,
      outputs: [`v${count - 1}`],
    }),
  'one bias of all layers, behind a chain': (count) =>
    model({
      nodes: [
        ...numbered(count / 2, (i) => node('Identity', [before(i, 'b')], [`v${i}`])),
        ...numbered(count / 2, (i) => node('Gemm', ['x', `w${i}`, `v${count / 2 - 1}`], [`y${i}`])),
      ],
      initializers: [floats('b', [4]), ...numbered(count / 2, (i) => floats(`w${i}`, SQUARE))],
      inputs: INPUTS,
      outputs: numbered(count / 2, (i) => `y${i}`),
    }),
  'convolutions of one weight, behind a chain': (count) =>
    model({
      nodes: [
        ...numbered(count / 2, (i) => node('Cast', [before(i, 'w')], [`v${i}`], { to: 1 })),
        ...numbered(count / 2, (i) =>
          node('Conv', [i === 0 ? 'x' : `y${i - 1}`, `v${count / 2 - 1}`], [`y${i}`]),
        ),
      ],
      initializers: [floats('w', [4, 4, 1, 1])],
      inputs: [['x', [2, 4, 3, 3]]],
      outputs: [`y${count / 2 - 1}`],
    }),
  'a weight in very many parts': (count) =>
    model({
      nodes: [
        node(
          'Split',
          ['w'],
          numbered(count, (i) => `w${i}`),
          { axis: 0, split: numbered(count, () => 1) },
        ),
        ...numbered(count, (i) => node('MatMul', ['x', `w${i}`], [`y${i}`])),
      ],
      initializers: [floats('w', [count, 4])],
      inputs: INPUTS,
      outputs: ['y0'],
    }),
  'constants that all nodes share': (count) =>
    model({
      nodes: [
        node('ConstantOfShape', ['shape'], ['made']),
        ...numbered(count, (i) => node('Mul', [before(i, 'x'), i % 2 ? 'made' : 's'], [`v${i}`])),
      ],
      initializers: [integers('shape', [4]), floats('s', [4])],
      inputs: INPUTS,
      outputs: [`v${count - 1}`],
    }),
  'branches that read weights of the main graph': (count) =>
    model({
      nodes: numbered(count / 8, (i) => {
        const branch = (weight: string) =>
          graph({ nodes: [node('MatMul', ['x', weight], ['t'])], outputs: ['t'] });
        return node('If', ['c'], [`y${i}`], {
          then_branch: branch(`w${i}`),
          else_branch: branch(`u${i}`),
        });
      }),
      initializers: numbered(count / 8, (i) => [floats(`w${i}`, SQUARE), floats(`u${i}`, SQUARE)]).flat(),
      inputs: [...INPUTS, ['c', []]],
      outputs: ['y0'],
    }),
  'very many inputs and outputs': (count) =>
    model({
      nodes: numbered(count, (i) => node('MatMul', [`x${i}`, 'w'], [`y${i}`])),
      initializers: [floats('w', SQUARE)],
      inputs: numbered(count, (i) => [`x${i}`, [2, 4]]),
      outputs: numbered(count, (i) => `y${i}`),
    }),
};
