import { open } from 'node:fs/promises';

/** Smaller pieces are joined before they are written. */
const WRITE_BYTES = 262144;

/** Bytes that are produced when their turn to be written comes. */
export interface DeferredBytes {
  readonly byteLength: number;
  /** In pieces, in order, together `byteLength` bytes. */
  read(): AsyncIterable<Uint8Array>;
}

/** What a message or a file consists of, in order; its length is known before any of it is produced. */
export class ByteParts {
  byteLength = 0;
  readonly list: (Uint8Array | DeferredBytes)[] = [];

  push(part: Uint8Array | DeferredBytes): void {
    this.list.push(part);
    this.byteLength += part.byteLength;
  }

  append(parts: ByteParts): void {
    for (const part of parts.list) this.push(part);
  }
}

/** Writes a file that must not exist yet. What was written stays where producing or writing fails. */
export async function writeParts(path: string, parts: ByteParts, signal: AbortSignal): Promise<void> {
  await using handle = await open(path, 'wx');
  await handle.writeFile(joined(pieces(parts), signal));
}

async function* pieces(parts: ByteParts): AsyncGenerator<Uint8Array> {
  for (const part of parts.list) {
    if (part instanceof Uint8Array) {
      yield part;
      continue;
    }
    let byteLength = 0;
    for await (const piece of part.read()) {
      byteLength += piece.byteLength;
      yield piece;
    }
    // Lengths of the messages around it are written by now.
    if (byteLength !== part.byteLength) {
      throw new RangeError(`${byteLength} bytes were produced in a place for ${part.byteLength}`);
    }
  }
}

async function* joined(source: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let byteLength = 0;
  for await (const piece of source) {
    signal.throwIfAborted();
    waiting.push(piece);
    byteLength += piece.byteLength;
    if (byteLength < WRITE_BYTES) continue;
    yield waiting.length === 1 ? piece : Buffer.concat(waiting);
    waiting = [];
    byteLength = 0;
  }
  yield Buffer.concat(waiting);
}
