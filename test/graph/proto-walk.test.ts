import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePrefix } from '../../src/graph/proto-walk.ts';
import { graph, node } from '../models/build-model.ts';

const prefixAmong = (...names: string[]) =>
  freePrefix(graph({ nodes: names.map((name) => node('Relu', ['x'], [name])) }), 'new_');

test('a prefix is one that no name begins with, and short', () => {
  assert.equal(prefixAmong('a', 'anew_'), 'new_');
  assert.equal(prefixAmong('new_a'), 'new__');
  assert.equal(prefixAmong('new_a', 'new___'), 'new____');
  assert.equal(prefixAmong(`new_${'_'.repeat(4000)}`), 'new_#0_');
  assert.equal(prefixAmong(`new_${'_'.repeat(4000)}`, 'new_#0_a', 'new_#2_', 'new_#1'), 'new_#1_');
  const named = Object.assign(node('Relu', ['x'], ['y']), { name: 'new_0_Cast' });
  assert.equal(freePrefix(graph({ nodes: [named] }), 'new_'), 'new__');
  const before = process.cpuUsage();
  const names = Array.from({ length: 4000 }, (_, count) => `new_${'_'.repeat(count)}`);
  assert.equal(prefixAmong(...names), 'new_#0_');
  assert.ok(process.cpuUsage(before).user < 2e6);
});
