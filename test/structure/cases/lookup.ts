import { integers, node } from '../../models/build-model.ts';
import { of, type RuleCase, random, TIED } from './rule-case.ts';

const READ = 'is looked up by index';
const WRITTEN = 'is written to by index';
const PART = 'is looked up in part';

/** Each head of each sample has its numbers looked up where the same indices say. */
const merged = (indices: 'expanded' | 'own') => [
  node('MatMul', ['x', 'w'], ['h']),
  node('Reshape', ['h', 'by_head'], ['split']),
  node('Reshape', ['split', 'rows'], ['merged']),
  node('Shape', ['x'], ['sizes'], { end: 1 }),
  node('Mul', ['sizes', 'heads'], ['count']),
  node('Concat', ['count', 'two'], ['target'], { axis: 0 }),
  node('Expand', ['i', 'target'], ['repeated']),
  node('Identity', ['repeated'], ['expanded']),
  node('Mul', ['expanded', 'one'], ['own']),
  node('GatherElements', ['merged', indices], ['g'], { axis: 1 }),
  node('Reshape', ['g', 'apart'], ['y']),
];
const MERGED = [
  ...[random('w', [4, 12]), integers('by_head', [-1, 3, 4]), integers('rows', [-1, 4])],
  ...[integers('heads', [3]), integers('two', [2]), integers('i', [3, 1], [1, 2]), integers('one', [1])],
  integers('apart', [-1, 3, 2]),
];

export const LOOKUP_CASES: readonly RuleCase[] = [
  of('GatherElements along the last axis, each head with indices of its own', 5, [READ], {
    nodes: [node('GatherElements', ['x', 'i'], ['y'], { axis: -1 })],
    initializers: [random('x', [2, 3, 4]), integers('i', [0, 1, 3, 3, 2, 1, 1, 0, 2, 3, 0, -1], [2, 3, 2])],
  }),
  of('GatherElements along the first axis, of fewer positions of the second', 3, [PART, READ].sort(), {
    nodes: [node('GatherElements', ['x', 'i'], ['y'])],
    initializers: [random('x', [4, 5, 3]), integers('i', [0, 3, 1, 2, 0, 1, 3, 3, 2], [1, 3, 3])],
  }),
  of('GatherElements of heads beside samples, by indices that are repeated', 3, [READ, TIED], {
    inputs: [['x', ['batch', 4]]],
    nodes: merged('expanded'),
    initializers: MERGED,
  }),
  of(
    'GatherElements of heads beside samples, by indices that may differ',
    0,
    ['has a size that follows the input, and indices of its own for each position', READ, TIED].sort(),
    { inputs: [['x', ['batch', 4]]], nodes: merged('own'), initializers: MERGED },
  ),
  of('GatherND of constant positions of the first axis', 10, [], {
    nodes: [node('GatherND', ['x', 'i'], ['y'])],
    initializers: [random('x', [6, 4]), integers('i', [5, 0, -2], [3, 1])],
  }),
  of('GatherND of a single position', 9, ['is the one position that is looked up'], {
    nodes: [node('GatherND', ['x', 'i'], ['y'])],
    initializers: [random('x', [6, 4]), integers('i', [-2], [1])],
  }),
  of('GatherND of pairs', 3, [READ], {
    nodes: [node('GatherND', ['x', 'i'], ['y'])],
    initializers: [random('x', [4, 2, 3]), integers('i', [0, 1, 3, 0], [2, 2])],
  }),
  of('GatherND of a table', 3, [READ], {
    nodes: [node('GatherND', ['x', 'i'], ['y'])],
    initializers: [random('x', [4, 3]), integers('i', [0, 1, 3, 0], [2, 2, 1])],
  }),
  of('GatherND in batches', 6, [READ], {
    nodes: [node('GatherND', ['x', 'i'], ['y'], { batch_dims: 1 })],
    initializers: [random('x', [3, 4, 3]), integers('i', [0, 1, 3, 0, 2, 2], [3, 2, 1])],
  }),
  of('ScatterElements, each head with indices of its own', 5, [WRITTEN], {
    nodes: [node('ScatterElements', ['x', 'i', 'u'], ['y'], { axis: 2, reduction: 'add' })],
    initializers: [
      random('x', [2, 3, 4]),
      integers('i', [0, 1, 3, 0, 2, 1, 1, 0, 2, 3, 0, -1], [2, 3, 2]),
      random('u', [2, 3, 2]),
    ],
  }),
  of('ScatterND of rows', 3, [WRITTEN], {
    nodes: [node('ScatterND', ['x', 'i', 'u'], ['y'])],
    initializers: [random('x', [4, 2, 3]), integers('i', [0, 1, 3, 0], [2, 2]), random('u', [2, 3])],
  }),
];
