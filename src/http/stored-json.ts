import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { FileRange } from '../storage/store.ts';

/** More than the brace and the line's end that a document ends with. */
const TAIL_BYTES = 16;

/** The JSON of an object with one field more: a stored document, which is passed on as it is, however large. */
export function withDocument(object: object, field: string, document: Readable): Readable {
  async function* parts() {
    yield `${openObject(object)}${JSON.stringify(field)}:`;
    yield* document;
    yield '}';
  }
  return destroyingBoth(parts(), document);
}

/**
 * The JSON of a stored object and of fields more, the object passed on as it is, however large.
 * @param read a range of its file of `byteLength` bytes. The stream's error has code `ENOENT` where it is not there
 */
export async function withFields(
  read: (range: FileRange) => Readable,
  byteLength: number,
  fields: object,
): Promise<Readable> {
  const start = Math.max(0, byteLength - TAIL_BYTES);
  const end = start + (await buffer(read({ start, end: byteLength - 1 }))).lastIndexOf('}');
  if (end < start) throw new Error('the stored document is no JSON object');
  const object = read({ start: 0, end: end - 1 });
  async function* parts() {
    yield* object;
    const more = JSON.stringify(fields).slice(1);
    yield more === '}' ? more : `,${more}`;
  }
  return destroyingBoth(parts(), object);
}

/** Of an object's JSON all but its end, ready for a field more. */
function openObject(object: object): string {
  const text = JSON.stringify(object).slice(0, -1);
  return text === '{' ? text : `${text},`;
}

/** A generator that nobody has begun to read does not know that it is over, and its source would stay open. */
function destroyingBoth(parts: AsyncGenerator<string | Buffer>, source: Readable): Readable {
  return Readable.from(parts, { objectMode: false }).once('close', () => source.destroy());
}
