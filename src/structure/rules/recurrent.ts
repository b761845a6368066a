import { setIntegers } from '../../graph/messages.ts';
import { splitAxis } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

const LENGTHS = 4;
const STATES: readonly number[] = [5, 6];

/** W[d, gates * hidden, input], R[d, gates * hidden, hidden], B[d, 2 * gates * hidden]: hidden units go together in all of them. */
const recurrent =
  (gates: number): StructureRule =>
  (at) => {
    if (at.integer('layout', 0) !== 0) return at.frozen('is recurrent with the batch first');
    const [x, w, r] = [at.axes(0), at.axes(1), at.axes(2)];
    const hidden = at.sizes(2)[2];
    at.tie(x[2], w[2]);
    at.contract(0, 2);
    at.contract(2, 2);
    tieGates(at, w[1], gates, hidden, r[2]);
    tieGates(at, r[1], gates, hidden, r[2]);
    if (at.hasInput(3)) tieGates(at, at.axes(3)[1], 2 * gates, hidden, r[2]);
    if (at.hasInput(7)) tieGates(at, at.axes(7)[1], 3, hidden, r[2]);
    for (const input of at.givenInputs.filter((input) => input !== 0 && input !== LENGTHS))
      at.freeze(at.axes(input)[0], 'is a direction');
    for (const state of at.givenInputs.filter((input) => STATES.includes(input))) {
      at.tie(at.axes(state)[1], x[1]);
      at.tie(at.axes(state)[2], r[2]);
    }
    at.freeze(x[0], 'is a step of a sequence');
    if (at.hasInput(LENGTHS)) at.freeze(x[1], 'is a sequence of a length of its own');
    at.onRemoval((edit) => {
      if (edit.shrinks(r[2])) setIntegers(at.node.proto, 'hidden_size', edit.kept(r[2], hidden).length);
    });
    return at.node.outputs.map((_, output) => (output === 0 ? [x[0], null, x[1], r[2]] : [null, x[1], r[2]]));
  };

/** An axis of `gates` times the hidden units. */
function tieGates(at: AnalysedNode, axis: LaneAxis, gates: number, hidden: number, units: LaneAxis): void {
  const [gate, unit] = splitAxis(at.lanes, axis, [gates, hidden], at.obstacle('is a gate'));
  at.freeze(gate, 'is a gate');
  at.tie(unit, units);
}

export const RECURRENT_RULES: StructureRules = new Map([
  ['LSTM', recurrent(4)],
  ['GRU', recurrent(3)],
  ['RNN', recurrent(1)],
]);
