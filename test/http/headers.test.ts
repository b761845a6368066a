import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'content-disposition';
import { preferredMediaType } from '../../src/http/accept.ts';
import { parseRange } from '../../src/http/byte-range.ts';
import { parsePreferWait } from '../../src/http/prefer.ts';
import { contentDisposition } from '../../src/http/send-file.ts';

describe('Accept', () => {
  const offered = ['application/json', 'text/html'] as const;
  for (const [header, want] of [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/html', 'text/html'],
    ['text/*', 'text/html'],
    ['TEXT/HTML; q=0.5, application/json;q=0.4', 'text/html'],
    ['application/json;q=0, */*', 'text/html'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'text/html'],
    ['application/json; charset=utf-8', 'application/json'],
    ['application/json;odata=verbose, text/plain', 'application/json'],
    ['text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2', 'text/html'],
    ['text/html;q=0.4;level="1", application/json;q=0.5', 'application/json'],
    ['text/html, application/json', 'application/json'],
    ['', 'application/json'],
  ] as const) {
    test(`${header}`, () => assert.equal(preferredMediaType(header, offered), want));
  }
  for (const header of ['image/png', 'application/json;q=0', 'text/html;q=0, text/*;q=0', 'text/html;q=x']) {
    test(`${header} cannot be met`, () =>
      assert.throws(() => preferredMediaType(header, offered), { code: 'not_acceptable' }));
  }
});

describe('Range', () => {
  for (const [header, want] of [
    ['bytes=0-0', { start: 0, end: 0 }],
    ['Bytes=2-', { start: 2, end: 9 }],
    ['bytes=2-100', { start: 2, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-100', { start: 0, end: 9 }],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=3-2', null],
    ['bytes=0-1,3-4', null],
    ['lines=1-2', null],
    ['bytes=-', null],
    ['bytes=0-1,2-4', { start: 0, end: 4 }],
    ['bytes=5-, 0-5', { start: 0, end: 9 }],
    ['bytes=0-1,20-', { start: 0, end: 1 }],
    ['bytes=0-1,5-4', null],
    ['bytes=10-11,20-', 'unsatisfiable'],
    ['bytes=2-99999999999999999999', { start: 2, end: 9 }],
    ['bytes=99999999999999999999-', 'unsatisfiable'],
    [`bytes=${2n ** 63n}-`, 'unsatisfiable'],
    [`bytes=${2n ** 64n}-${2n ** 65n}`, 'unsatisfiable'],
    [`bytes=${'9'.repeat(400)}-`, 'unsatisfiable'],
    [`bytes=2-${2n ** 63n}`, { start: 2, end: 9 }],
    [`bytes=2-${'9'.repeat(400)}`, { start: 2, end: 9 }],
    [`bytes=-${2n ** 63n}`, { start: 0, end: 9 }],
    [`bytes=-${'9'.repeat(400)}`, { start: 0, end: 9 }],
    [`bytes=${'0'.repeat(20)}3-4`, { start: 3, end: 4 }],
    ['bytes=0x1-2', null],
    ['bytes', null],
    ['', null],
    [undefined, null],
  ] as const) {
    test(`${header} of 10 bytes`, () => assert.deepEqual(parseRange(header, 10), want));
  }
  test('an empty file satisfies none', () => assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable'));
  test('the last bytes of an empty file are the file', () => assert.equal(parseRange('bytes=-5', 0), null));
});

describe('Prefer: wait', () => {
  for (const [header, want] of [
    ['wait=30', 30],
    ['respond-async, wait=5', 5],
    ['Wait = "7"; foo', 7],
    ['wait=100000', 60],
    ['wait=0', 0],
    ['wait=-1', null],
    ['wait', null],
    [undefined, null],
  ] as const) {
    test(`${header}`, () => assert.equal(parsePreferWait(header), want));
  }
});

describe('Content-Disposition', () => {
  test('names are quoted, and exact where they are not ASCII', () => {
    assert.equal(contentDisposition('a/b.onnx'), 'attachment; filename="b.onnx"');
    assert.equal(
      contentDisposition('a"b.onnx'),
      `attachment; filename="a_b.onnx"; filename*=UTF-8''a%22b.onnx`,
    );
    assert.equal(
      contentDisposition("ü'\r\n"),
      `attachment; filename="_'__"; filename*=UTF-8''%C3%BC%27%0D%0A`,
    );
  });

  for (const name of [
    '模型 (final) 100%.onnx',
    "it's *new*; v=2, \\ok\\.onnx",
    '🙂.onnx',
    'plain name.onnx',
  ]) {
    test(`${name} comes back whole`, () =>
      assert.equal(parse(contentDisposition(name)).parameters.filename, name));
  }
});
