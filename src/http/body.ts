import type { IncomingHttpHeaders } from 'node:http';
import { finished, type Readable } from 'node:stream';
import zlib from 'node:zlib';
import { EmpError } from '../core/errors.ts';
import type { Hold } from './body-memory.ts';

type Decoder = zlib.Gunzip | zlib.BrotliDecompress | zlib.ZstdDecompress;

/** What a decoder gives at a time. From MALLOC_MMAP_THRESHOLD_ in package.json on, memory goes back to the system once it is free; thousands of smaller pieces would keep the heap of malloc as large as it ever was. */
const DECODED = { chunkSize: 256 * 1024 };

const DECODERS: Readonly<Record<string, () => Decoder>> = {
  gzip: () => zlib.createGunzip(DECODED),
  'x-gzip': () => zlib.createGunzip(DECODED),
  br: () => zlib.createBrotliDecompress(DECODED),
  zstd: () => zlib.createZstdDecompress(DECODED),
};

/** Codings that a body may come in; `x-gzip` is an old name of one. */
export const CONTENT_CODINGS = ['gzip', 'zstd', 'br', 'identity'] as const;

/** The Content-Encoding of a request. */
export function codingOf(headers: IncomingHttpHeaders): string {
  return headers['content-encoding']?.trim().toLowerCase() || 'identity';
}

/** What a body may take. */
export interface BodyRules {
  /** Of decoded bytes: no more than that is ever held, however far the encoded form would unfold. */
  readonly limit: number;
  /** What to do about a body beyond the limit. */
  readonly advice: string;
  /** Memory that a byte of it takes until it is answered, in bytes. */
  readonly cost: number;
  readonly hold: Pick<Hold, 'grow'>;
}

/**
 * A request's whole body, decoded, in memory of its own, which may be handed to a thread. The request's stream is never destroyed, so that a refusal still reaches the client.
 * @throws EmpError `payload_too_large`, `unsupported_media_type` (an unknown Content-Encoding), `malformed_body` (cut or broken),
 *   `not_ready` (no memory for it now)
 */
export async function readBody(
  payload: Readable,
  headers: IncomingHttpHeaders,
  rules: BodyRules,
): Promise<Buffer<ArrayBuffer>> {
  const encoding = codingOf(headers);
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  if (encoding === 'identity') {
    if (length !== undefined && length > rules.limit) throw tooLarge(rules);
    return collect(payload, rules, length);
  }
  const createDecoder = DECODERS[encoding];
  if (!createDecoder) {
    throw new EmpError(
      'unsupported_media_type',
      `Content-Encoding ${encoding} is not one of ${CONTENT_CODINGS.join(', ')}`,
      [{ path: 'Content-Encoding', message: `must be one of ${CONTENT_CODINGS.join(', ')}` }],
    );
  }
  return decode(payload, createDecoder(), rules);
}

async function decode(payload: Readable, decoder: Decoder, rules: BodyRules): Promise<Buffer<ArrayBuffer>> {
  let received = 0;
  // What the decoder is no longer there to hear: it may have ended, and be destroyed for a second reason.
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => {});
  const stop = (error: EmpError) => {
    decoder.destroy(error);
    reject(error);
  };
  decoder.on('error', () => {});
  payload.on('data', (chunk: Buffer) => {
    received += chunk.byteLength;
    if (received > rules.limit) stop(tooLarge(rules));
  });
  payload.once('end', resolve);
  payload.once('error', () => stop(closedEarly()));
  payload.once('close', () => {
    if (!payload.readableEnded) stop(closedEarly());
  });
  try {
    const body = await collect(payload.pipe(decoder), rules);
    // The pipe to a decoder that has ended leaves the rest unread.
    payload.unpipe(decoder);
    payload.resume();
    await ended;
    // Node stops at the end of the first zstd frame or brotli stream and drops the rest without a word.
    if (received === decoder.bytesWritten) return body;
    const extra = received - decoder.bytesWritten;
    throw new EmpError(
      'malformed_body',
      `the encoded body goes on for ${extra} bytes after its end: send one frame`,
    );
  } finally {
    payload.unpipe(decoder);
    decoder.destroy();
  }
}

/**
 * Gathers a stream. Every chunk is copied once, to its place, as it comes: to join hundreds of megabytes at the end would hold up all others.
 * Where no length is announced the buffer grows within addresses set aside for the limit. Pages are committed by the kernel as they fill, so a
 * client that announces much and sends little costs little. Chunks are taken as they come: a reader
 * that pauses lets the window of its connection close, and among many it then waits for seconds until that opens again.
 */
async function collect(stream: Readable, rules: BodyRules, announced?: number): Promise<Buffer<ArrayBuffer>> {
  const memory =
    announced === undefined
      ? new ArrayBuffer(0, { maxByteLength: rules.limit })
      : Buffer.allocUnsafeSlow(announced).buffer;
  const target = new Uint8Array(memory);
  let length = 0;
  const take = (chunk: Buffer) => {
    const start = length;
    length += chunk.byteLength;
    if (length > rules.limit) throw tooLarge(rules);
    rules.hold.grow(chunk.byteLength * rules.cost);
    if (memory.resizable) memory.resize(length);
    target.set(chunk, start);
  };
  try {
    await eachChunk(stream, take);
  } catch (error) {
    if (error instanceof EmpError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_STREAM_PREMATURE_CLOSE') throw closedEarly();
    throw new EmpError('malformed_body', `the body cannot be decoded: ${message}`);
  }
  return Buffer.from(memory, 0, length);
}

async function eachChunk(stream: Readable, take: (chunk: Buffer) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer) => {
    try {
      take(chunk);
    } catch (error) {
      reject(error);
    }
  };
  const forget = finished(stream, { writable: false }, (error) => (error ? reject(error) : resolve()));
  try {
    stream.on('data', onData);
    await promise;
  } finally {
    stream.off('data', onData);
    forget();
  }
}

function tooLarge({ limit, advice }: BodyRules): EmpError {
  return new EmpError('payload_too_large', `the body is larger than ${limit} bytes: ${advice}`);
}

/** Of a request whose client went away in the middle. */
export function closedEarly(): EmpError {
  return new EmpError('malformed_body', 'the connection closed before the body was complete');
}
