import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GraphPass, runPasses } from '../../../src/graph/passes/pass.ts';
import { model } from '../../models/build-model.ts';

test('runPasses runs passes in their order, with one context', () => {
  const name = (added: string): GraphPass<string[]> => {
    return (proto, seen) => {
      seen.push(proto.producerName);
      proto.producerName += added;
    };
  };
  const [proto, seen] = [model({ nodes: [] }), [] as string[]];
  runPasses(proto, [name('a'), name('b'), name('c')], seen);
  assert.equal(proto.producerName, 'abc');
  assert.deepEqual(seen, ['', 'a', 'ab']);
});
