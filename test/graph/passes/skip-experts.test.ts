import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipExperts } from '../../../src/graph/passes/skip-experts.ts';
import { mainGraph } from '../../../src/graph/proto-walk.ts';
import { floats, graph, model, node } from '../../models/build-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { nodesOf } from './pass-check.ts';

const mixture = (op: string, input: string, output: string, domain = MICROSOFT) =>
  node(op, [input, 'r', 'up', '', 'down'], [output], { k: 2 }, domain);

test('skipExperts passes on what goes into mixtures, in branches too', () => {
  const branch = graph({ nodes: [mixture('QMoE', 'a', 'b')], outputs: ['b'] });
  const proto = model({
    nodes: [
      mixture('MoE', 'x', 'a'),
      node('If', ['yes'], ['c'], { then_branch: branch, else_branch: branch }),
      mixture('MoE', 'c', 'y', 'com.example'),
    ],
    initializers: ['r', 'up', 'down'].map((name) => floats(name, [2])),
    inputs: ['x', 'yes'],
    outputs: ['y'],
  });
  skipExperts(proto);
  assert.deepEqual(nodesOf(proto), ['a = Identity(x)', 'c = If(yes)', 'y = MoE(c, r, up, , down)']);
  const [first, holder] = mainGraph(proto).node;
  assert.deepEqual([first.domain, first.attribute], ['', []]);
  for (const { g } of holder.attribute)
    assert.deepEqual(nodesOf({ ...proto, graph: g }), ['b = Identity(a)']);
});
