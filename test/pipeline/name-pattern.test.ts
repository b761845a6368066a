import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matchesName } from '../../src/pipeline/name-pattern.ts';

/** By definition: `*` is any string, `?` any one character. Exponential, for short strings. */
function matchesByDefinition(name: string, pattern: string): boolean {
  if (pattern === '') return name === '';
  const rest = pattern.slice(1);
  if (pattern[0] === '*') {
    return Array.from({ length: name.length + 1 }, (_, i) => name.slice(i)).some((tail) =>
      matchesByDefinition(tail, rest),
    );
  }
  return (
    name !== '' && (pattern[0] === '?' || pattern[0] === name[0]) && matchesByDefinition(name.slice(1), rest)
  );
}

test('a pattern matches what its definition says', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '/'), maxLength: 9 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '/', '*', '?'), maxLength: 7 });
  fc.assert(
    fc.property(name, pattern, (n, p) => assert.equal(matchesName(n, p), matchesByDefinition(n, p))),
    { numRuns: 5000 },
  );
});

test('names of both formats', () => {
  for (const [name, pattern] of [
    ['model.layers.0.mlp.up_proj.weight', 'model.layers.*.mlp.*'],
    ['/layers/0/MatMul/weight', '*MatMul*'],
    ['onnx::MatMul_12', 'onnx::MatMul_??'],
    ['odd*name?', 'odd*name?'],
    ['[0]{a}', '[0]{a}'],
  ]) {
    assert.ok(matchesName(name, pattern), `${name} ${pattern}`);
  }
  assert.equal(matchesName('lm_head.weight', 'lm_head'), false);
});

test('patterns made to backtrack take no longer than others', { timeout: 5000 }, () => {
  const name = 'a'.repeat(1024);
  for (const pattern of [`${'*a'.repeat(255)}b`, `${'a*'.repeat(255)}?b`, '*'.repeat(512)]) {
    assert.equal(matchesName(name, pattern), pattern === '*'.repeat(512));
  }
});
