import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initializersToConstants } from '../../../src/graph/passes/initializers-to-constants.ts';
import { floats, model, node } from '../../models/build-model.ts';
import { assertSame, fed, nodesOf } from './pass-check.ts';

const build = (irVersion: bigint) =>
  Object.assign(
    model({
      nodes: [node('Add', ['x', 'w'], ['y'])],
      initializers: [floats('w', [2])],
      inputs: [['x', [2]]],
      outputs: [['y', [2]]],
    }),
    { irVersion },
  );

test('initializersToConstants puts constants first where a branch could not have initializers', async () => {
  const old = build(3n);
  initializersToConstants(old);
  assert.deepEqual(nodesOf(old), ['w = Constant()', 'y = Add(x, w)']);
  assert.deepEqual(old.graph?.initializer, []);
  await assertSame(build(8n), Object.assign(old, { irVersion: 8n }), fed('x', [2]));
});

test('initializersToConstants leaves later versions alone', () => {
  const young = build(4n);
  initializersToConstants(young);
  assert.deepEqual(young, build(4n));
});
