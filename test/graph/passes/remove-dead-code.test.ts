import assert from 'node:assert/strict';
import { test } from 'node:test';
import { removeDeadCode } from '../../../src/graph/passes/remove-dead-code.ts';
import { floats, graph, model, node } from '../../models/build-model.ts';
import { namesOf, nodesOf } from './pass-check.ts';

test('removeDeadCode leaves what is read, in branches too, and nothing else', () => {
  const branch = (name: string) => graph({ nodes: [node('Add', ['x', name], ['r'])], outputs: ['r'] });
  const proto = model({
    nodes: [
      node('Add', ['x', 'unread'], ['dead']),
      node('Neg', ['dead'], ['deader']),
      node('Add', ['x', 'kept'], ['inner']),
      node('If', ['yes'], ['y'], { then_branch: branch('inner'), else_branch: branch('in_branch') }),
    ],
    initializers: ['unread', 'kept', 'in_branch', 'lonely'].map((name) => floats(name, [2])),
    inputs: ['x', 'yes', 'unread', 'kept', 'idle'],
    outputs: ['y'],
  });
  removeDeadCode(proto);
  assert.deepEqual(nodesOf(proto), ['inner = Add(x, kept)', 'y = If(yes)']);
  assert.deepEqual(namesOf(proto.graph?.initializer), ['kept', 'in_branch']);
  // An input that stays has to be fed as before; one that was a tensor's would have to be fed from now on.
  assert.deepEqual(namesOf(proto.graph?.input), ['x', 'yes', 'kept', 'idle']);
});
