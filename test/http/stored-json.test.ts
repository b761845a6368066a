import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import { withDocument, withFields } from '../../src/http/stored-json.ts';

const stream = (text: string) => Readable.from([Buffer.from(text)]);

for (const object of [{}, { id: 'm', files: [{ name: '}' }] }])
  test(`a document joins ${JSON.stringify(object)}`, async () => {
    const document = [{ name: 'a"b', shape: [] }];
    assert.deepEqual(await json(withDocument(object, 'tensors', stream(JSON.stringify(document)))), {
      ...object,
      tensors: document,
    });
  });

for (const end of ['', '\n', '\r\n'])
  for (const fields of [{}, { timings_ms: { score: 1 } }])
    test(`${JSON.stringify(fields)} joins a document that ends with ${JSON.stringify(end)}`, async () => {
      for (const document of [{ a: 1 }, { a: { b: '}}' }, long: 'x'.repeat(100) }]) {
        const bytes = Buffer.from(JSON.stringify(document, null, 2) + end);
        const read = (range: { start: number; end: number }) =>
          Readable.from([bytes.subarray(range.start, range.end + 1)]);
        assert.deepEqual(await json(await withFields(read, bytes.length, fields)), {
          ...document,
          ...fields,
        });
      }
    });

test('a document that is gone is told before anything is answered', async () => {
  const gone = () =>
    new Readable({
      read() {
        this.destroy(Object.assign(new Error('gone'), { code: 'ENOENT' }));
      },
    });
  await assert.rejects(withFields(gone, 100, {}), { code: 'ENOENT' });
});

test('an answer that nobody reads lets go of its document', async () => {
  const document = stream('[]');
  withDocument({ id: 'm' }, 'tensors', document).destroy();
  await new Promise((resolve) => document.once('close', resolve));
});
