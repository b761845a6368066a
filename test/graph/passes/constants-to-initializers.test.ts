import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constantsToInitializers } from '../../../src/graph/passes/constants-to-initializers.ts';
import { floats, graph, model, node } from '../../models/build-model.ts';
import { assertSame, fed, namesOf, nodesOf, numbersIn } from './pass-check.ts';

const shared = floats('', [2]);
const constant = (name: string) => node('Constant', [], [name], { value: shared });

describe('constantsToInitializers', () => {
  test('stores constants under the names of their outputs, one that two nodes share once', async () => {
    const build = () =>
      model({
        nodes: [
          constant('a'),
          constant('b'),
          node('Constant', [], ['two'], { value_ints: [2] }),
          node('Expand', ['a', 'two'], ['wide']),
          node('Add', ['x', 'wide'], ['h']),
          node('Add', ['h', 'b'], ['y']),
        ],
        inputs: [['x', [2]]],
        outputs: [['y', [2]]],
      });
    const stored = build();
    constantsToInitializers(stored);
    assert.deepEqual(nodesOf(stored), [
      'b = Identity(a)',
      'wide = Expand(a, two)',
      'h = Add(x, wide)',
      'y = Add(h, b)',
    ]);
    assert.deepEqual(namesOf(stored.graph?.initializer), ['a', 'two']);
    await assertSame(build(), stored, fed('x', [2]));
  });

  test('gives every graph a tensor of its own', () => {
    const branch = (name: string) =>
      graph({ nodes: [constant(name), node('Add', ['x', name], [`${name}_y`])], outputs: [`${name}_y`] });
    const choosing = model({
      nodes: [node('If', ['yes'], ['y'], { then_branch: branch('p'), else_branch: branch('q') })],
      inputs: ['yes', 'x'],
      outputs: ['y'],
    });
    constantsToInitializers(choosing);
    const branches = choosing.graph!.node[0].attribute.map(({ g }) => g!);
    assert.deepEqual(
      branches.map(({ initializer }) => namesOf(initializer)),
      [['p'], ['q']],
    );
    assert.notEqual(branches[0].initializer[0], branches[1].initializer[0]);
    assert.deepEqual(numbersIn(branches[1].initializer[0]), [1, 2]);
  });
});
