import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EmpError } from '../../src/core/errors.ts';
import { REQUEST_BOUNDS } from '../../src/http/json-body.ts';
import { type JsonBounds, parseBoundedJson } from '../../src/http/json-bounds.ts';

const NONE = Number.POSITIVE_INFINITY;
const UNBOUNDED: JsonBounds = {
  depth: NONE,
  keys: NONE,
  keyBytes: NONE,
  stringBytes: NONE,
  numbers: NONE,
  others: NONE,
};

const parse = (text: string, bounds: Partial<JsonBounds> = {}) =>
  parseBoundedJson(Buffer.from(text), { ...UNBOUNDED, ...bounds }, 'the body');

function refusalOf(act: () => unknown): EmpError {
  try {
    act();
  } catch (error) {
    if (error instanceof EmpError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

/** What JSON.parse says of a text. */
function plainly(text: string): { value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

describe('within its bounds', () => {
  test('every JSON value is what JSON.parse makes of it, however it is laid out', () => {
    const layouts = fc.constantFrom(undefined, 0, 1, '\t', '\r\n ');
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false, maxDepth: 6 }), layouts, (value, layout) => {
        const text = JSON.stringify(value, null, layout);
        assert.deepEqual(parse(text), JSON.parse(text));
      }),
    );
  });

  test('what is not JSON is refused, and nothing else', () => {
    const pieces = fc.constantFrom(
      ...'[]{},:"\\',
      '"a"',
      '"b":',
      '1',
      '-0.5e+3',
      'true',
      'null',
      ' ',
      '\\"',
      'e',
    );
    let valid = 0;
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 7 }), (parts) => {
        const text = parts.join('');
        const want = plainly(text);
        try {
          assert.deepEqual({ value: parse(text) }, want);
          valid++;
        } catch (error) {
          if (!(error instanceof EmpError)) throw error;
          if (want) assert.match(error.message, /is given twice/);
          else assert.ok(['malformed_body', 'invalid_request'].includes(error.code));
        }
      }),
      { numRuns: 5000 },
    );
    assert.ok(valid > 50, `${valid} were valid`);
  });

  test('a byte order mark is passed over', () => assert.deepEqual(parse('\ufeff[1]'), [1]));
});

describe('each bound is met exactly', () => {
  const cases: [string, Partial<JsonBounds>, string, string, string][] = [
    ['depth', { depth: 2 }, '{"a":[1]}', '{"a":[1,[2]]}', '/a/1'],
    ['keys', { keys: 3 }, '{"a":{"b":1},"c":2}', '{"a":{"b":1},"c":2,"d/e":3}', '/d~1e'],
    ['keyBytes', { keyBytes: 2 }, '{"é":1}', '{"x":{"éa":1}}', '/x/éa'],
    ['stringBytes', { stringBytes: 2 }, '["\\n"]', '["ab","abc"]', '/1'],
    ['numbers', { numbers: 2 }, '[true,-1e-5,{"a":2.5E+3}]', '[1,{"a":2},3]', '/2'],
    ['others', { others: 4 }, '[true,null,"x",1,1,1]', '[true,null,"x",1,{}]', '/4'],
    [
      'refusedKeys',
      { refusedKeys: ['__proto__'] },
      '{"proto":1}',
      '{"a":{"__pr\\u006fto__":1}}',
      '/a/__proto__',
    ],
    ['repeated keys', {}, '{"a":{"b":1},"b":1}', '{"a":[{"b":1,"\\u0062":1}]}', '/a/0/b'],
  ];
  for (const [name, bounds, fits, exceeds, path] of cases) {
    test(name, () => {
      assert.deepEqual(parse(fits, bounds), JSON.parse(fits));
      const { code, message, findings } = refusalOf(() => parse(exceeds, bounds));
      assert.equal(code, 'invalid_request');
      assert.deepEqual(
        findings.map((finding) => finding.path),
        [path],
      );
      assert.match(message, /\(byte \d+ of the body\)$/);
    });
  }

  test('what is told of a key of a megabyte is short', () => {
    const { message } = refusalOf(() => parse(`{"${'k'.repeat(1e6)}":1}`, REQUEST_BOUNDS));
    assert.ok(message.length < 300, message);
    assert.match(message, /1000000 bytes/);
  });
});
