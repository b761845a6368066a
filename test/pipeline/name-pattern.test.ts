import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EmpError } from '../../src/core/errors.ts';
import { NameMatcher } from '../../src/pipeline/name-pattern.ts';

const matchesName = (name: string, pattern: string) =>
  new NameMatcher([name]).match('include', [pattern]).names.has(name);

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
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '/', '?'), maxLength: 9 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '/', '*', '?'), maxLength: 7 });
  fc.assert(
    fc.property(name, pattern, (n, p) => assert.equal(matchesName(n, p), matchesByDefinition(n, p))),
    { numRuns: 5000 },
  );
});

test('of many patterns the names that one matches, and the first pattern that matches none', () => {
  const unit = fc.constantFrom('a', 'b', '.');
  const names = fc.array(fc.string({ unit, maxLength: 6 }), { maxLength: 8 });
  const patterns = fc.array(fc.string({ unit: fc.oneof(unit, fc.constantFrom('*', '?')), maxLength: 5 }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(names, patterns, (all, given) => {
      const matched = new NameMatcher(all).match('exclude', given);
      const expected = all.filter((name) => given.some((pattern) => matchesByDefinition(name, pattern)));
      assert.deepEqual([...matched.names].sort(), [...new Set(expected)].sort());
      const isIdle = (pattern: string) => !all.some((name) => matchesByDefinition(name, pattern));
      assert.equal(matched.idle, given.findIndex(isIdle));
    }),
    { numRuns: 2000 },
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

/** Pieces that a name of nothing but `a` almost matches, at every place of it. */
const HOSTILE = ['*a'.repeat(120), 'a'.repeat(240), `b${'a'.repeat(239)}`, 'a?'.repeat(120), '?'.repeat(240)];

describe('names and patterns made for each other take a bounded time', () => {
  for (const [tensors, characters] of [
    [200, 1000],
    [1000, 1000],
    [50_000, 4000],
  ] as const) {
    test(`${tensors} names of ${characters} characters, 64 patterns`, { timeout: 10_000 }, () => {
      const names = Array.from({ length: tensors }, (_, i) => `${'a'.repeat(characters)}${i}`);
      for (const hostile of HOSTILE) {
        const patterns = Array.from({ length: 64 }, (_, i) => `*${hostile}b${i}*`);
        try {
          assert.equal(new NameMatcher(names).match('exclude', patterns).names.size, 0);
        } catch (error) {
          assert.ok(error instanceof EmpError && error.code === 'invalid_request', String(error));
          assert.match(error.findings[0].path, /^\/recipe\/exclude\/\d+$/);
          assert.match(error.findings[0].message, /give fewer or shorter patterns$/);
        }
      }
    });
  }

  test('one name and one pattern alone', { timeout: 5000 }, () => {
    const name = 'a'.repeat(2 ** 24);
    assert.throws(() => matchesName(name, `*${'a?'.repeat(120)}b*`), { code: 'invalid_request' });
  });

  test('the same pattern given often counts once', () => {
    const names = Array.from({ length: 500 }, (_, i) => `${'a'.repeat(300)}${i}`);
    const patterns = Array.from({ length: 64 }, () => `*${'a?'.repeat(120)}b*`);
    assert.deepEqual(new NameMatcher(names).match('include', patterns), { names: new Set(), idle: 0 });
  });
});

test('patterns of a large model are matched', () => {
  const names = Array.from(
    { length: 10_000 },
    (_, i) => `model.layers.${i}.self_attn.out_proj.MatMul.weight.quantized`,
  );
  const patterns = Array.from({ length: 20 }, (_, i) => `*.${i + 1}99.*`);
  assert.equal(new NameMatcher(names).match('include', patterns).names.size, 20);
});
