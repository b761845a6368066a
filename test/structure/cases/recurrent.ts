import { node } from '../../models/build-model.ts';
import { int32, of, type RuleCase, random } from './rule-case.ts';

const STATES = [random('h0', [1, 2, 4]), random('c0', [1, 2, 4])];

export const RECURRENT_CASES: readonly RuleCase[] = [
  of('LSTM with peepholes', 9, ['is a gate', 'is a step of a sequence'], {
    nodes: [node('LSTM', ['x', 'w', 'r', 'b', '', 'h0', 'c0', 'p'], ['y', 'h', 'c'], { hidden_size: 4 })],
    outputs: ['y', 'h', 'c'],
    initializers: [
      ...[random('x', [5, 2, 3]), random('w', [1, 16, 3]), random('r', [1, 16, 4]), random('b', [1, 32])],
      ...[...STATES, random('p', [1, 12])],
    ],
  }),
  of(
    'LSTM of sequences of several lengths',
    7,
    ['is a gate', 'is a sequence of a length of its own', 'is a step of a sequence'],
    {
      nodes: [node('LSTM', ['x', 'w', 'r', '', 'lengths'], ['', 'h'], { hidden_size: 4 })],
      outputs: ['h'],
      initializers: [
        ...[random('x', [5, 2, 3]), random('w', [1, 16, 3]), random('r', [1, 16, 4])],
        int32('lengths', [5, 3]),
      ],
    },
  ),
  of('GRU in both directions', 9, ['is a direction', 'is a gate', 'is a step of a sequence'], {
    nodes: [node('GRU', ['x', 'w', 'r', 'b'], ['y'], { hidden_size: 4, direction: 'bidirectional' })],
    initializers: [
      ...[random('x', [5, 2, 3]), random('w', [2, 12, 3]), random('r', [2, 12, 4]), random('b', [2, 24])],
    ],
  }),
  of('RNN', 9, ['is a gate', 'is a step of a sequence'], {
    nodes: [node('RNN', ['x', 'w', 'r', 'b'], ['y', 'h'], { hidden_size: 4 })],
    outputs: ['y', 'h'],
    initializers: [
      ...[random('x', [5, 2, 3]), random('w', [1, 4, 3]), random('r', [1, 4, 4]), random('b', [1, 8])],
    ],
  }),
];
