import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inlineIntegers } from '../../../src/formats/onnx/tensor-data.ts';
import { foldIntegers } from '../../../src/graph/passes/fold-integers.ts';
import { integers, model, node } from '../../models/build-model.ts';
import { assertSame, fed, namesOf, nodesOf } from './pass-check.ts';

const build = () =>
  model({
    nodes: [
      node('Shape', ['x'], ['shape']),
      node('Gather', ['shape', 'one'], ['width']),
      node('Concat', ['rest', 'width'], ['to'], { axis: 0 }),
      node('Reshape', ['x', 'to'], ['y']),
    ],
    initializers: [integers('one', [1]), integers('rest', [-1])],
    inputs: [['x', [2, 3]]],
    outputs: [['y', [2, 3]]],
  });

test('foldIntegers stores what is known in the place of the nodes that compute it', async () => {
  const folded = build();
  foldIntegers(folded, {
    integers: new Map([
      ['width', { shape: [1], values: [3] }],
      ['to', { shape: [2], values: [-1, 3] }],
      ['one', { shape: [1], values: [1] }],
    ]),
  });
  assert.deepEqual(nodesOf(folded), ['shape = Shape(x)', 'y = Reshape(x, to)']);
  assert.deepEqual(namesOf(folded.graph?.initializer), ['one', 'rest', 'width', 'to']);
  assert.deepEqual(inlineIntegers(folded.graph!.initializer[3]), [-1, 3]);
  await assertSame(build(), folded, fed('x', [2, 3]));
});

test('foldIntegers keeps a node one of whose outputs is not known, and constants', () => {
  const parts = model({
    nodes: [
      node('Constant', [], ['c'], { value: integers('', [4]) }),
      node('Split', ['n'], ['a', 'b'], { axis: 0 }),
    ],
    inputs: ['n'],
    outputs: ['b'],
  });
  const known = { shape: [1], values: [4] };
  foldIntegers(parts, {
    integers: new Map([
      ['c', known],
      ['a', known],
    ]),
  });
  assert.deepEqual(nodesOf(parts), ['c = Constant()', 'a,b = Split(n)']);
  assert.deepEqual(parts.graph?.initializer, []);
});
